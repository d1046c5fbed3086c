/** Runs an exported function of a module: `program.mjs MODULE FUNCTION ARGUMENTS`, in a process or in a worker. */
import { register } from 'tsx/esm/api';

// In Node 20 a worker does not inherit the TypeScript loader of the process.
register();
const [, , module, name, ...args] = process.argv;
const programs = await import(module);
await programs[name](...args);
