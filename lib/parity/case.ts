/** One case of a parity check: a session run once, and its outputs compared with what was expected of it. */
import { OnnxGroupNormError, ParityError } from '../errors.js';
import type { SessionLoweringName } from '../lowering/index.js';
import type { GroupNormExecution, Provider, Session, TensorRecord } from '../runtime/common.js';
import type { TensorData } from '../tensor.js';
import { compareTensors, type OutputComparison } from './compare.js';
import { toleranceFor } from './tolerance.js';

/** What came of one fixture, or of one data set of an existing model, run in one way. */
export interface CaseResult {
  /** The fixture's path, or that of the data set's folder. */
  readonly file: string;
  /**
   * Name in the graph registry, `unknown` where the file could not be read; of an existing model the name of its
   * folder.
   */
  readonly graph: string;
  /** Path of the existing model that was run; nothing for a fixture, whose model is built. */
  readonly model?: string;
  /**
   * How GroupNormalization is written in the model that was built; of an existing model what its session was asked for
   * as `groupNorm`, `default` if nothing.
   */
  readonly lowering: SessionLoweringName | 'default';
  /** Of the model's default ONNX domain; 0 of an existing model that has none or could not be read. */
  readonly opset: number;
  /** The execution provider that ran it. */
  readonly provider: Provider;
  /** Whether it ran and every output is within its tolerance. */
  readonly passed: boolean;
  /** One comparison for each output that is expected; none if the case could not be run. */
  readonly outputs: readonly OutputComparison[];
  /** Why the case could not be run, which counts as failed. */
  readonly error?: { readonly code: string; readonly message: string };
  /** How GroupNormalization ran, where the model had the operator; nothing if it did not run. */
  readonly groupNorm?: GroupNormExecution;
  /** Building, loading, running and comparing. */
  readonly milliseconds: number;
}

/** Which case it is. */
export type CaseName = Pick<CaseResult, 'file' | 'graph' | 'model' | 'lowering' | 'opset' | 'provider'>;

/** What a run came to. */
export type Outcome = Pick<CaseResult, 'outputs' | 'groupNorm'>;

/** An error of any kind makes a failed case. */
export async function attempt(
  action: () => Promise<Outcome>,
): Promise<Pick<CaseResult, 'passed' | 'outputs' | 'groupNorm' | 'error'>> {
  try {
    const outcome = await action();
    return { passed: outcome.outputs.every(({ passed }) => passed), ...outcome };
  } catch (error) {
    const code = error instanceof OnnxGroupNormError ? error.code : 'INTERNAL';
    const message = error instanceof Error ? error.message : String(error);
    return { passed: false, outputs: [], error: { code, message } };
  }
}

/** What a session is fed, and what is expected of it, by the model's names. */
export interface Expectation {
  readonly inputs: ReadonlyMap<string, TensorData>;
  readonly outputs: ReadonlyMap<string, TensorData>;
}

/**
 * Runs a session once and compares every output that is expected.
 * @param tolerance In place of the defaults.
 * @param truth Outputs in float64, as far as there are some.
 */
export async function runAndCompare(
  session: Session,
  { inputs, outputs }: Expectation,
  tolerance: Parameters<typeof toleranceFor>[1],
  truth?: ReadonlyMap<string, TensorData>,
): Promise<Outcome> {
  const actual = await session.run(Object.fromEntries(inputs));
  const comparisons = [...outputs].map(([name, expected]) => {
    const allowed = toleranceFor(expected.dtype, tolerance);
    return compareTensors(name, outputOf(actual, name), expected, allowed, truth?.get(name));
  });
  return { outputs: comparisons, ...(session.groupNorm && { groupNorm: session.groupNorm }) };
}

function outputOf(actual: TensorRecord, name: string): TensorData {
  const value = Object.hasOwn(actual, name) ? actual[name] : undefined;
  if (value) return value;
  throw new ParityError(
    'OUTPUT_MISSING',
    `an output '${name}' is expected, but the model has ${Object.keys(actual).join(', ')}`,
  );
}
