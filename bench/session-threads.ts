/**
 * Sessions as contestants, each in a thread of its own: a thread has its own heap, so that what one leaves to the
 * garbage collector is not the next one's work, and each is collected as in a program that does nothing else.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { SessionOptions } from '../lib/index.js';
import { pairedTurns, type Times, type Turn } from './paired-rounds.js';

/** A model with a float32 input `x`. */
export interface ThreadSpec {
  readonly model: Uint8Array;
  readonly options: SessionOptions;
  /** Of `x`, and where `intoBuffer` of the output `y`. */
  readonly shape: readonly number[];
  /** Whether runs are given a tensor to write into, and not left to make one each. */
  readonly intoBuffer?: boolean;
}

/** V8 has settled how it collects a heap. */
const WARM_UP_CALLS = 100;

/** Times the runs of sessions, `calls` in a row. */
export async function timeSessions(
  specs: Readonly<Record<string, ThreadSpec>>,
  rounds: number,
  { calls = 12, warmUp = WARM_UP_CALLS } = {},
): Promise<Times> {
  const threads: Record<string, Worker> = {};
  try {
    for (const [name, spec] of Object.entries(specs)) threads[name] = await start(spec);
    const turns = Object.entries(threads).map(([name, thread]) => [name, turnIn(thread)]);
    return await pairedTurns(Object.fromEntries(turns) as Record<string, Turn>, rounds, calls, warmUp);
  } finally {
    await Promise.all(Object.values(threads).map((thread) => thread.terminate()));
  }
}

/** Threads do not inherit a loader from `--import` in Node 20. */
const TYPESCRIPT = `
  import { register } from 'tsx/esm/api';
  register();
  await import(${JSON.stringify(new URL('session-thread.ts', import.meta.url))});
`;

async function start(spec: ThreadSpec): Promise<Worker> {
  const thread = new Worker(TYPESCRIPT, { eval: true, workerData: spec, execArgv: ['--input-type=module'] });
  await once(thread, 'message');
  return thread;
}

const turnIn =
  (thread: Worker): Turn =>
  async (calls) => {
    thread.postMessage(calls);
    const [time] = (await once(thread, 'message')) as [number];
    return time;
  };
