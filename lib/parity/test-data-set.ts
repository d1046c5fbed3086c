/**
 * Runs existing models on their data sets. Reading is `node.ts`'s: declarations that reach ONNX's protobuf messages would
 * not compile for users without their types.
 */
import { basename, dirname, resolve } from 'node:path';
import { ParityError } from '../errors.js';
import type { SessionLoweringName } from '../lowering/types.js';
import { requireKnownOptions } from '../options.js';
import type { Provider } from '../runtime/core/contract.js';
import { createSession } from '../runtime/node.js';
import type { TensorData } from '../tensor.js';
import { attempt, type CaseName, type CaseResult, type Outcome, runAndCompare } from './check.js';

/** One data set of an existing model, in the layout of ONNX's own tests: inputs and expected outputs. */
export interface TestDataSet {
  /** The path of the data set's folder, such as `resnet/test_data_set_0`. */
  readonly file: string;
  /** The path of the model: `model.onnx` beside the folder. */
  readonly model: string;
  /** The model's opset of the default ONNX domain; 0 if it does not import that domain. */
  readonly opset: number;
  /** The inputs, by the model's names. */
  readonly inputs: ReadonlyMap<string, TensorData>;
  /** The outputs that the framework computed, by the model's names. */
  readonly outputs: ReadonlyMap<string, TensorData>;
}

/** How to run an existing model on a data set. */
export interface TestDataSpec {
  /** The execution provider to run on. */
  readonly provider: Provider;
  /** The session's option `groupNorm`. Default: the session chooses. */
  readonly groupNorm?: SessionLoweringName | undefined;
  /** Replaces the dtype's relative tolerance for floats. */
  readonly rtol?: number | undefined;
  /** Replaces the dtype's absolute tolerance for floats. */
  readonly atol?: number | undefined;
}

/**
 * Runs an existing model once on a data set and compares every output: floats within the tolerance, by default that of
 * `torch.testing.assert_close`; other dtypes exactly. An error while the case runs makes the
 * case fail and is not thrown; only wrong arguments throw.
 * @throws ParityError `FIXTURE_INVALID` if `dataSet` is not a data set; OptionError `UNKNOWN_OPTION`, `NO_OPTIONS`.
 */
export async function checkTestDataSet(dataSet: TestDataSet, spec: TestDataSpec): Promise<CaseResult> {
  requireDataSet(dataSet);
  requireKnownOptions('checkTestDataSet', spec, SPEC_OPTIONS);
  const start = performance.now();
  const result = await attempt(() => loadAndRun(dataSet, spec));
  return { ...nameCase(dataSet, spec), ...result, milliseconds: performance.now() - start };
}

/** Returns the name of the case that a data set makes when it runs in one way. */
export const nameCase = (
  { file, model, opset }: TestDataSet,
  { groupNorm, provider }: TestDataSpec,
): CaseName => ({
  file,
  graph: graphNameOf(file),
  model,
  lowering: groupNorm ?? 'default',
  opset,
  provider,
});

const SPEC_OPTIONS = ['provider', 'groupNorm', 'rtol', 'atol'] as const satisfies (keyof TestDataSpec)[];

/** Returns what reports call the model of a data set: the name of the folder that holds both. */
export const graphNameOf = (folder: string): string => basename(dirname(resolve(folder)));

function requireDataSet(dataSet: TestDataSet): void {
  const { outputs, model } = (dataSet as TestDataSet | undefined | null) ?? {};
  if (outputs instanceof Map && typeof model === 'string') return;
  throw new ParityError(
    'FIXTURE_INVALID',
    'checkTestDataSet: the first argument must be a data set: what readTestDataSet returns',
  );
}

async function loadAndRun(
  dataSet: TestDataSet,
  { provider, groupNorm, ...tolerance }: TestDataSpec,
): Promise<Outcome> {
  await using session = await createSession(dataSet.model, { providers: [provider], groupNorm });
  return await runAndCompare(session, dataSet, tolerance);
}
