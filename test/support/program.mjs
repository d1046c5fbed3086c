/** Runs an exported function of a module: `program.mjs MODULE FUNCTION ARGUMENTS`, in a process or in a worker. */
import { pathToFileURL } from 'node:url';

const [, , module, name, ...args] = process.argv;
const programs = await import(pathToFileURL(module));
await programs[name](...args);
