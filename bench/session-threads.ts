/**
 * Sessions as contestants, each in a thread of its own: a thread has its own heap, so that what one leaves to the
 * garbage collector is not the next one's work, and each is collected as in a program that does nothing else.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { SessionOptions } from '../lib/index.js';
import { pairedTurns, type Contestant, type Times } from './statistics.js';

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

export interface Turns {
  readonly calls?: number;
  /** Calls of the first round, which is not counted. */
  readonly warmUp?: number;
}

/** Times the runs of sessions, and whatever else is to be timed with them, 12 in a row by default. */
export async function timeSessions(
  specs: Readonly<Record<string, ThreadSpec>>,
  rounds: number,
  { calls = 12, warmUp = WARM_UP_CALLS }: Turns = {},
  others: Readonly<Record<string, Contestant>> = {},
): Promise<Times> {
  const contestants: Record<string, Contestant> = { ...others };
  try {
    for (const [name, spec] of Object.entries(specs)) contestants[name] = await startSession(spec);
    const turns = Object.entries(contestants).map(([name, { turn }]) => [name, turn] as const);
    return await pairedTurns(Object.fromEntries(turns), rounds, calls, warmUp);
  } finally {
    await Promise.all(Object.values(contestants).map((contestant) => contestant.end()));
  }
}

/** Threads do not inherit a loader from `--import` in Node 20. */
const TYPESCRIPT = `
  import { register } from 'tsx/esm/api';
  register();
  await import(${JSON.stringify(new URL('session-thread.ts', import.meta.url))});
`;

async function startSession(spec: ThreadSpec): Promise<Contestant> {
  const thread = new Worker(TYPESCRIPT, { eval: true, workerData: spec, execArgv: ['--input-type=module'] });
  await once(thread, 'message');
  return {
    async turn(calls) {
      thread.postMessage(calls);
      const [time] = (await once(thread, 'message')) as [number];
      return time;
    },
    end: () => thread.terminate(),
  };
}
