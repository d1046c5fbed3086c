/** Apart from what reads it: a declaration that reaches ONNX's messages does not compile at users without their types. */
import { basename, dirname, resolve } from 'node:path';
import { ParityError } from '../errors.js';
import type { SessionLoweringName } from '../lowering/types.js';
import { requireKnownOptions } from '../options.js';
import type { Provider } from '../runtime/core/contract.js';
import { withSession } from '../runtime/core/open.js';
import { createSession } from '../runtime/node.js';
import type { TensorData } from '../tensor.js';
import { attempt, type CaseName, type CaseResult, type Outcome, runAndCompare } from './check.js';

/** One data set of an existing model, as ONNX lays out its own tests: what the model is fed, and what it is to give. */
export interface TestDataSet {
  /** Path of its folder, `test_data_set_0`. */
  readonly file: string;
  /** Path of the model: `model.onnx`, beside the folder. */
  readonly model: string;
  /** Of the model's default ONNX domain; 0 if it does not import that. */
  readonly opset: number;
  /** By the model's names. */
  readonly inputs: ReadonlyMap<string, TensorData>;
  /** What the framework made of them, by the model's names. */
  readonly outputs: ReadonlyMap<string, TensorData>;
}

// SECTION: Data sets of existing models run in Node.

/** One way to run an existing model on a data set. */
export interface TestDataSpec {
  /** The execution provider to run it on. */
  readonly provider: Provider;
  /** As the session's option. Default: GroupNormalization runs as in any session. */
  readonly groupNorm?: SessionLoweringName | undefined;
  /** In place of the dtype's relative tolerance, for floats. */
  readonly rtol?: number | undefined;
  /** In place of the dtype's absolute tolerance, for floats. */
  readonly atol?: number | undefined;
}

/**
 * Runs an existing model on one of its data sets and compares every output: floats within the tolerance, which is
 * `torch.testing.assert_close`'s by default, anything else exactly. An error of any kind makes a failed case and is
 * not thrown.
 * @throws ParityError `FIXTURE_INVALID`, OptionError only if `dataSet` or `spec` is none.
 */
export async function checkTestDataSet(dataSet: TestDataSet, spec: TestDataSpec): Promise<CaseResult> {
  requireDataSet(dataSet);
  requireKnownOptions('checkTestDataSet', spec, SPEC_OPTIONS);
  const start = performance.now();
  const result = await attempt(() => loadAndRun(dataSet, spec));
  return { ...nameCase(dataSet, spec), ...result, milliseconds: performance.now() - start };
}

/** Which case a data set makes that is run in one way. */
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

/** What reports call the model of a data set: the name of the folder that both lie in. */
export const graphNameOf = (folder: string): string => basename(dirname(resolve(folder)));

function requireDataSet(dataSet: TestDataSet): void {
  const { outputs, model } = (dataSet as TestDataSet | undefined | null) ?? {};
  if (outputs instanceof Map && typeof model === 'string') return;
  throw new ParityError(
    'FIXTURE_INVALID',
    'checkTestDataSet: the first argument must be a data set: what readTestDataSet returns',
  );
}

function loadAndRun(
  dataSet: TestDataSet,
  { provider, groupNorm, ...tolerance }: TestDataSpec,
): Promise<Outcome> {
  const opening = createSession(dataSet.model, { providers: [provider], groupNorm });
  return withSession(opening, (session) => runAndCompare(session, dataSet, tolerance));
}
