/** For the programs that `runProgram` runs: other functions of their module, each in a worker. */
import { Worker } from 'node:worker_threads';

/** Starts a function that the module of this process exports, in a worker. */
export const startWorker = ({ name }: () => Promise<void>): Worker =>
  new Worker(new URL('program.mjs', import.meta.url), { argv: [process.argv[2], name], execArgv: [] });
