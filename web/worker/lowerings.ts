/** Compares the lowerings: their times, how far their GroupNorms are from float64, and how far their outputs differ. */
import {
  compareTensors,
  createSession,
  LOWERING_NAMES,
  type LoweringName,
  type Session,
  SessionError,
} from '../../lib/browser.js';
import { errorOfLowering } from '../../lib/insight/inspect/lowering-error.js';
import { toleranceFor } from '../../lib/parity/compare.js';
import { BROWSER } from '../../lib/runtime/browser.js';
import type { TensorRecord } from '../../lib/runtime/core/contract.js';
import type { LoweringResult, LoweringsResult, Quartiles, Tasks } from '../protocol.js';
import { makeInputs } from './inputs.js';
import { bytesOf } from './models.js';
import { progress } from './progress.js';
import { numbersOf } from './run.js';

/** The lowering whose outputs the others are compared with: it is right for any mean. */
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

export async function compareLowerings(input: Tasks['lowerings']['input']): Promise<LoweringsResult> {
  const { model, plan } = input;
  const { provider } = plan;
  const { feeds, lines } = await makeInputs(model.inspection.model.inputs, plan);
  const bytes = await bytesOf(model);
  const runners = new Map<LoweringName, Runner | string>();
  let [firstRuns, rounds] = [0, LEAST_ROUNDS];
  try {
    for (const name of LOWERING_NAMES) {
      progress(`loading and running ${name}`);
      const start = performance.now();
      runners.set(name, await open(bytes, provider, name, feeds).catch(messageOf));
      firstRuns += performance.now() - start;
    }
    const working = [...runners.values()].filter((one) => typeof one === 'object');
    const [first] = runners.values();
    if (typeof first === 'string' && working.length === 0) throw new SessionError('RUN_FAILED', first);
    rounds = Math.max(LEAST_ROUNDS, Math.min(MOST_ROUNDS, Math.floor(BUDGET / (2 * firstRuns + 1))));
    await pairedRounds(working, feeds, rounds);
  } finally {
    for (const runner of runners.values()) if (typeof runner === 'object') await runner.session.dispose();
  }
  const reference = runners.get(REFERENCE);
  const lowerings: LoweringResult[] = [];
  for (const [name, runner] of runners) {
    if (typeof runner === 'string') {
      lowerings.push({ name, problem: runner });
      continue;
    }
    progress(`comparing ${name} with float64`);
    lowerings.push({
      name,
      milliseconds: quartiles(runner.milliseconds),
      error: await errorOfLowering(BROWSER, bytes, name, { feeds, provider }).catch(() => undefined),
      difference: typeof reference === 'object' ? largestDifference(runner, reference) : undefined,
    });
  }
  return { provider, inputs: lines, rounds, lowerings };
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

function largestDifference(actual: Runner, expected: Runner): number | undefined {
  if (actual === expected) return undefined;
  const differences = Object.entries(expected.outputs).map(
    ([name, value]) =>
      compareTensors(name, actual.outputs[name]!, value, toleranceFor(value.dtype, {})).maxAbs,
  );
  return Math.max(0, ...differences);
}

function quartiles(values: readonly number[]): Quartiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}
