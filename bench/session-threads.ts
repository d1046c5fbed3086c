/**
 * Times sessions against each other, each in its own thread. A thread has its own heap, so that no session pays for
 * the garbage of another.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { SessionOptions } from '../lib/index.js';
import { pairedTurns, type Contestant, type Times } from './statistics.js';

/** A model with a float32 input `x`. */
export interface ThreadSpec {
  readonly model: Uint8Array;
  readonly options: SessionOptions;
  /** The shape of `x`, and where the caller gives an output, of `y` too. */
  readonly shape: readonly number[];
  /** How the caller uses memory. Default `plain`. */
  readonly call?: CallStyle;
  /** Whether runs hold the calling thread. Default false. */
  readonly sync?: boolean;
}

/**
 * The ways to call a session. `plain` leaves results to the garbage collector; `using` disposes of them; `outputs`
 * gives an ordinary tensor for the output; `allocated outputs` gives a tensor of `session.allocate`. With `using` and
 * `allocated outputs` the input is allocated too.
 */
export type CallStyle = 'plain' | 'using' | 'outputs' | 'allocated outputs';

/** After it wakes, a thread shares a core with a thread of ONNX Runtime until the system moves it. */
export const SETTLE_MS = 50;

/** Calls until V8's garbage collection has reached a steady state. */
const WARM_UP_CALLS = 100;

export interface Turns {
  readonly calls?: number;
  /** Calls of the first round, which does not count. */
  readonly warmUp?: number;
}

/** Times the runs of sessions and of other contestants, by default 12 calls in a row. */
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

const PROGRAM = new URL('session-thread.mjs', import.meta.url);

async function startSession(spec: ThreadSpec): Promise<Contestant> {
  const thread = new Worker(PROGRAM, { workerData: spec, execArgv: [] });
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
