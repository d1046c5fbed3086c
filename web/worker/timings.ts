/** Times the lowerings against each other. */
import { createSession, formatShape, loweringsAt, type Session } from '../../lib/browser.js';
import type { Quartiles, TimingsResult } from '../protocol.js';
import { buildNetwork } from './build.js';
import { imageOf, makeInput } from './input.js';
import { progress } from './progress.js';
import type { RunInput } from './run.js';

const ROUNDS = 9;
/** After a run, ONNX Runtime's threads spin for a while, and would take time from the next session. */
const PAUSE_MS = 5;

export async function measureLowerings({ spec, provider, source }: RunInput): Promise<TimingsResult> {
  const { graph, encode } = await buildNetwork(spec);
  const x = makeInput(graph.inputs[0]!, source, await imageOf(source));
  const names = loweringsAt(spec.opset);
  const sessions = new Map<string, Session>();
  try {
    for (const name of names) {
      progress(`loading ${name}`);
      // `groupNorm` runs each lowering as written, with ONNX Runtime's own kernels.
      sessions.set(name, await createSession(encode(name), { providers: [provider], groupNorm: name }));
    }
    const times = await pairedRounds(sessions, { [graph.inputs[0]!.name]: x });
    return {
      provider,
      input: `${x.dtype} ${formatShape(x.dims)}`,
      rounds: ROUNDS,
      lowerings: names.map((name) => ({ name, milliseconds: quartiles(times.get(name)!) })),
    };
  } finally {
    for (const session of sessions.values()) await session.dispose();
  }
}

/**
 * Returns the milliseconds of each session in each round. A round runs all sessions one after another, so that other
 * work on the machine slows them alike. Of the two calls in a turn only the second counts, and the first round does not
 * count.
 */
async function pairedRounds(
  sessions: ReadonlyMap<string, Session>,
  feeds: Parameters<Session['run']>[0],
): Promise<Map<string, number[]>> {
  const times = new Map([...sessions.keys()].map((name) => [name, [] as number[]]));
  const total = sessions.size * (ROUNDS + 1);
  let done = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    const turns = [...sessions];
    for (const [name, session] of round % 2 === 0 ? turns : turns.reverse()) {
      progress('measuring: every lowering in every round', done++, total);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      await session.run(feeds);
      const start = performance.now();
      await session.run(feeds);
      if (round > 0) times.get(name)!.push(performance.now() - start);
    }
  }
  return times;
}

function quartiles(values: readonly number[]): Quartiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}
