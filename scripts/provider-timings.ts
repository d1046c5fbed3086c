/** One GroupNormalization alone on a provider, as each lowering: what the table of choices rests on. */
import { groupNormModel, NUM_GROUPS } from '../bench/runners.js';
import { timeSessions, type ThreadSpec } from '../bench/session-threads.js';
import { normalTensor, quantile } from '../bench/statistics.js';
import {
  createSession,
  LOWERING_NAMES,
  type LoweringName,
  type Provider,
  type Session,
} from '../lib/index.js';
import { referenceGroupNorm, maxAbsDifference } from '../test/support/group-norm.js';

const SHAPES = [
  [1, 64, 8, 8],
  [1, 320, 64, 64],
  [8, 256, 32, 32],
  [1, 128, 256, 256],
];
const ROUNDS = 12;
/** Means of the inputs whose error is reported; the deviation is 1.4. */
const MEANS = [0, 300];

/** Head and rows of the table: a row for each shape and way to run. */
export const TIMINGS_HEAD = [
  'shape',
  'provider',
  'GroupNormalization',
  'ms',
  ...MEANS.map((mean) => `error, mean ${mean}`),
];

export async function measureTimings(providers: readonly Provider[]): Promise<string[][]> {
  const rows: string[][] = [];
  for (const shape of SHAPES) {
    for (const provider of providers) rows.push(...(await measure(shape, provider)));
  }
  return rows;
}

async function measure(shape: readonly number[], provider: Provider): Promise<string[][]> {
  // The kernel runs whatever the model says it as; elsewhere a session runs what it is asked for.
  const ways: readonly (LoweringName | undefined)[] = provider === 'native' ? [undefined] : LOWERING_NAMES;
  const model = groupNormModel(shape);
  const specs = ways.map((groupNorm): [string, ThreadSpec] => [
    groupNorm ?? 'kernel',
    { model, shape, options: { providers: [provider], strict: true, groupNorm } },
  ]);
  const times = await timeSessions(Object.fromEntries(specs), ROUNDS, { calls: 4, warmUp: 20 });
  const rows: string[][] = [];
  for (const [name, { options }] of specs) {
    const session = await createSession(model, options);
    const errors: string[] = [];
    for (const mean of MEANS) errors.push((await errorOf(session, shape, mean)).toExponential(1));
    rows.push([shape.join('×'), provider, name, quantile(times[name]!, 0.5).toFixed(2), ...errors]);
    await session.dispose();
  }
  return rows;
}

async function errorOf(session: Session, shape: readonly number[], mean: number): Promise<number> {
  const x = normalTensor(shape, mean);
  return maxAbsDifference(
    (await session.run({ x })).y!,
    referenceGroupNorm({ x, numGroups: NUM_GROUPS, eps: 1e-5 }),
  );
}
