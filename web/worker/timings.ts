/** The lowerings timed against each other. */
import { createSession, formatShape, loweringsAt, type Session } from '../../lib/browser.js';
import { pairedRounds, quartiles } from '../../bench/paired-rounds.js';
import type { TimingsResult } from '../protocol.js';
import { buildNetwork } from './build.js';
import { imageOf, makeInput } from './input.js';
import { progress } from './progress.js';
import type { RunInput } from './run.js';

const ROUNDS = 9;

export async function measureLowerings({ spec, provider, source }: RunInput): Promise<TimingsResult> {
  const { graph, encode } = await buildNetwork(spec);
  const x = makeInput(graph.inputs[0]!, source, await imageOf(source));
  const names = loweringsAt(spec.opset);
  const sessions = new Map<string, Session>();
  try {
    for (const name of names) {
      progress(`loading ${name}`);
      // Each as it is named, with ONNX Runtime's own kernels, and on this provider or not at all.
      sessions.set(name, await createSession(encode(name), { providers: [provider], groupNorm: name }));
    }
    const times = await pairedRounds(contestants(sessions, { [graph.inputs[0]!.name]: x }), ROUNDS, 1);
    return {
      provider,
      input: `${x.dtype} ${formatShape(x.dims)}`,
      rounds: ROUNDS,
      lowerings: names.map((name) => ({ name, milliseconds: quartiles(times[name]!) })),
    };
  } finally {
    for (const session of sessions.values()) await session.dispose();
  }
}

/** Two calls a round, one of them not counted, and a round that is not counted. */
function contestants(sessions: ReadonlyMap<string, Session>, feeds: Parameters<Session['run']>[0]) {
  const total = 2 * sessions.size * (ROUNDS + 1);
  let done = 0;
  return Object.fromEntries(
    [...sessions].map(([name, session]) => [
      name,
      () => {
        progress('measuring: every lowering in every round', done++, total);
        return session.run(feeds);
      },
    ]),
  );
}
