/** The program of a session's process, which price.ts starts: MODEL OPTIONS-AS-JSON SHAPE-OF-INPUT. */
import { createInterface } from 'node:readline';
import { createSession, type SessionOptions } from '../lib/index.js';
import { normalTensor, turnOf } from './statistics.js';

const [model = '', options = '{}', shape = ''] = process.argv.slice(2);
const session = await createSession(model, JSON.parse(options) as SessionOptions);
const x = normalTensor(shape.split('x').map(Number));
const turn = turnOf(async () => {
  using outputs = await session.run({ [session.inputs[0]!.name]: x });
  void outputs;
});
for await (const calls of createInterface({ input: process.stdin })) console.log(await turn(Number(calls)));
await session.dispose();
