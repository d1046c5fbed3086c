/** This project's server in a process of its own. Arguments: the model, and how to serve it, as JSON. */
import { createServer, type ServingOptions } from '../lib/server/index.js';

const [model, serving] = process.argv.slice(2) as [string, string];
const server = createServer({
  model,
  modelName: 'model',
  port: 0,
  serving: JSON.parse(serving) as ServingOptions,
});
const address = await server.listen();
await server.loaded();
console.log(address);
