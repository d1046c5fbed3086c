/** Compares the lowerings: their times, and how far their outputs are from those of `reduce-mean`. */
import {
  compareTensors,
  createSession,
  LOWERING_NAMES,
  type LoweringName,
  type Session,
} from '../../lib/browser.js';
import { toleranceFor } from '../../lib/parity/compare.js';
import type { TensorRecord } from '../../lib/runtime/core/contract.js';
import type { Difference, LoweringResult, LoweringsResult, Quartiles, Tasks } from '../protocol.js';
import { makeInputs } from './inputs.js';
import { bytesOf } from './models.js';
import { progress } from './progress.js';
import { numbersOf } from './run.js';

/** The lowering whose result is right for any mean, as the others are compared with it. */
const REFERENCE: LoweringName = 'reduce-mean';

/** Milliseconds that all rounds may take, and the most rounds. */
const BUDGET = 10_000;
const MOST_ROUNDS = 9;
const LEAST_ROUNDS = 3;
/** After a run, ONNX Runtime's threads spin for a while, and would take time from the next session. */
const PAUSE_MS = 5;

/** A lowering that runs. */
interface Runner {
  readonly session: Session;
  readonly fetches: readonly string[];
  readonly outputs: TensorRecord;
  readonly milliseconds: number[];
}

export async function compareLowerings({
  model,
  plan,
}: Tasks['lowerings']['input']): Promise<LoweringsResult> {
  const { feeds, lines } = await makeInputs(model.inspection.model.inputs, plan);
  const bytes = await bytesOf(model);
  const runners = new Map<LoweringName, Runner | string>();
  let firstRuns = 0;
  try {
    for (const name of LOWERING_NAMES) {
      progress(`loading and running ${name}`);
      const start = performance.now();
      runners.set(name, await open(bytes, plan.provider, name, feeds).catch(messageOf));
      firstRuns += performance.now() - start;
    }
    const working = [...runners].filter((one): one is [LoweringName, Runner] => typeof one[1] === 'object');
    const rounds = Math.max(LEAST_ROUNDS, Math.min(MOST_ROUNDS, Math.floor(BUDGET / (2 * firstRuns + 1))));
    await pairedRounds(
      working.map(([, runner]) => runner),
      feeds,
      rounds,
    );
    const reference = runners.get(REFERENCE);
    return {
      provider: plan.provider,
      inputs: lines,
      rounds,
      lowerings: [...runners].map(([name, runner]) =>
        typeof runner === 'string'
          ? { name, problem: runner }
          : resultOf(name, runner, typeof reference === 'object' ? reference : undefined),
      ),
    };
  } finally {
    for (const runner of runners.values()) if (typeof runner === 'object') await runner.session.dispose();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Loads the model with one lowering, by ONNX Runtime's own kernels, and runs it once. */
async function open(
  bytes: Uint8Array,
  provider: 'wasm' | 'webgpu',
  groupNorm: LoweringName,
  feeds: TensorRecord,
): Promise<Runner> {
  const session = await createSession(bytes, { providers: [provider], groupNorm });
  try {
    const fetches = numbersOf(session);
    return { session, fetches, outputs: await session.run(feeds, { fetches }), milliseconds: [] };
  } catch (error) {
    await session.dispose();
    throw error;
  }
}

/**
 * Times each session in each round. A round runs all sessions one after another, so that other work on the machine slows them
 * alike. Of the two calls in a turn only the second counts.
 */
async function pairedRounds(runners: readonly Runner[], feeds: TensorRecord, rounds: number): Promise<void> {
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    const turns = round % 2 === 0 ? runners : [...runners].reverse();
    for (const { session, fetches, milliseconds } of turns) {
      progress('measuring: every lowering in every round', done++, rounds * runners.length);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      await session.run(feeds, { fetches });
      const start = performance.now();
      await session.run(feeds, { fetches });
      milliseconds.push(performance.now() - start);
    }
  }
}

function resultOf(name: LoweringName, runner: Runner, reference: Runner | undefined): LoweringResult {
  const milliseconds = quartiles(runner.milliseconds);
  return {
    name,
    milliseconds,
    ...(reference && reference !== runner && { difference: differenceOf(runner.outputs, reference.outputs) }),
  };
}

function differenceOf(outputs: TensorRecord, expected: TensorRecord): Difference {
  const comparisons = Object.entries(expected).map(([name, value]) =>
    compareTensors(name, outputs[name]!, value, toleranceFor(value.dtype, {})),
  );
  const most = (of: (one: (typeof comparisons)[number]) => number) => Math.max(0, ...comparisons.map(of));
  return { maxAbs: most(({ maxAbs }) => maxAbs), toleranceUsed: most(({ toleranceUsed }) => toleranceUsed) };
}

function quartiles(values: readonly number[]): Quartiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}
