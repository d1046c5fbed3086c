/**
 * Data sets of existing models, in the layout of ONNX's own tests and the ONNX model zoo: reads a data set, and runs the
 * model on it. No exported type may reach ONNX's protobuf messages: such declarations would not compile for users
 * without the messages' types.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isMap } from '../arrays.js';
import { FileError, ParityError } from '../errors.js';
import { reasonOf, systemCode } from '../files/system-error.js';
import { type Limits, requireLimits } from '../limits.js';
import type { SessionLoweringName } from '../lowering/types.js';
import { Model } from '../onnx/model.js';
import { readModelFile } from '../onnx/write.js';
import { decodeTensorFile, encodeTensorFile } from '../onnx/protobuf/tensors.js';
import { requireKnownOptions } from '../options.js';
import type { Layout, Provider } from '../runtime/core/contract.js';
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

/** Returns the path of a data set's model. */
export const modelPathOf = (folder: string): string => join(folder, '..', 'model.onnx');

/** Returns what reports call the model of a data set: the name of the folder that holds both. */
export const graphNameOf = (folder: string): string => basename(dirname(resolve(folder)));

/** The file of what PyTorch's modules returned, in the folder of a data set or beside its model: docs/compare.md. */
export const ACTIVATIONS_FILE = 'activations.safetensors';

/** Whether a folder of this name is a data set. */
export const isDataSetName = (name: string): boolean => name.startsWith('test_data_set_');

/**
 * Returns the paths of the data sets in a folder, by their numbers.
 * @throws ParityError `NO_FIXTURES` if the folder has no data set; FileError if it cannot be read.
 */
export async function dataSetsIn(folder: string): Promise<string[]> {
  const names = (await listFiles(folder)).filter(isDataSetName);
  if (names.length > 0) return names.sort(byNumber.compare).map((name) => join(folder, name));
  throw new ParityError('NO_FIXTURES', `folder '${folder}' has no test_data_set_0, the data set of a model`);
}

const byNumber = new Intl.Collator('en', { numeric: true });

/**
 * Reads one data set of an existing model, in the layout of ONNX's own tests and the ONNX model zoo: `input_0.pb`,
 * `output_0.pb` and so on in a folder, each a TensorProto, and `model.onnx` beside the folder. The files are the
 * model's inputs without initializers and its outputs, in the model's order; a tensor with the name of an input or
 * output belongs to that one.
 * @param folder The path of the data set, such as `resnet/test_data_set_0`.
 * @param path The path of the model. Default: `model.onnx` beside the folder.
 * @param options The `limits`: how large the parts of the model and of the tensors may be. Default: `DEFAULT_LIMITS`.
 * @throws FileError if a file cannot be read; ModelError if the model or a tensor is invalid; ParityError
 *   `FIXTURE_INVALID` if files are missing, other files are there, or an input or output of the model is not a tensor.
 */
export async function readTestDataSet(
  folder: string,
  path = modelPathOf(folder),
  { limits }: { readonly limits?: Partial<Limits> | undefined } = {},
): Promise<TestDataSet> {
  const files = sortFiles(folder, await listFiles(folder));
  const model = Model.decode(
    await readModelBytes(folder, path),
    path,
    requireLimits('readTestDataSet', limits),
  );
  requireFiles(folder, model, files);
  const read = async (names: readonly string[], of: readonly string[]) =>
    matchTensors(folder, await readTensors(folder, names, limits), of);
  return {
    file: folder,
    model: path,
    opset: model.opset,
    inputs: await read(files.input, model.inputNames),
    outputs: await read(files.output, model.outputNames),
  };
}

/**
 * Returns the files of a data set by their names, as {@link readTestDataSet} reads them.
 * @param inputs The inputs that a model ran on, by the model's names, and `outputs` what it computed.
 */
export function testDataFiles(
  inputs: Readonly<Record<string, TensorData>>,
  outputs: Readonly<Record<string, TensorData>>,
): Map<string, Uint8Array> {
  const filesOf = (direction: Direction, tensors: Readonly<Record<string, TensorData>>) =>
    Object.entries(tensors).map(([name, data], index): [string, Uint8Array] => [
      fileName(direction, index),
      encodeTensorFile(name, data),
    ]);
  return new Map([...filesOf('input', inputs), ...filesOf('output', outputs)]);
}

async function listFiles(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    const code = systemCode(cause) === 'ENOENT' ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE';
    throw new FileError(code, `cannot read '${folder}': ${reasonOf(cause)}`, { cause });
  }
}

async function readModelBytes(folder: string, path: string): Promise<Uint8Array> {
  try {
    return await readModelFile(path);
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'FILE_NOT_FOUND') throw error;
    throw invalid(folder, `its model must be beside it, as '${path}', but that file does not exist`, error);
  }
}

async function readTensors(
  folder: string,
  names: readonly string[],
  limits?: Partial<Limits>,
): Promise<FileTensor[]> {
  const tensors: FileTensor[] = [];
  for (const file of names) {
    const path = join(folder, file);
    tensors.push({ file, ...decodeTensorFile(await readModelFile(path), path, limits) });
  }
  return tensors;
}

type Direction = 'input' | 'output';

const FILE_NAME = /^(input|output)_(0|[1-9]\d*)\.pb$/;
const ALLOWED = 'input_0.pb, input_1.pb and so on, output_0.pb, output_1.pb and so on';

const invalid = (folder: string, problem: string, cause?: unknown): ParityError =>
  new ParityError('FIXTURE_INVALID', `${folder} is not a test data set: ${problem}`, { cause });

/**
 * Sorts the names of a folder's files into inputs and outputs by number. Skips names that begin with a dot, and activations.
 * @throws ParityError `FIXTURE_INVALID` if there are other files, or a number is missing before the last.
 */
export function sortFiles(folder: string, names: readonly string[]): Record<Direction, readonly string[]> {
  const seen = names.filter((name) => !name.startsWith('.') && name !== ACTIVATIONS_FILE);
  // Other names are refused, because a file with a mistyped name would not be compared.
  const odd = seen.find((name) => !FILE_NAME.test(name));
  if (odd !== undefined) throw invalid(folder, `it holds '${odd}'; allowed: ${ALLOWED}`);
  return { input: numbered(folder, 'input', seen), output: numbered(folder, 'output', seen) };
}

function numbered(folder: string, direction: Direction, names: readonly string[]): string[] {
  const own = names.filter((name) => name.startsWith(direction));
  const inOrder = own.map((_, index) => fileName(direction, index));
  const gap = inOrder.find((name) => !own.includes(name));
  if (gap === undefined) return inOrder;
  throw invalid(folder, `'${gap}' is missing, but there is '${own.find((name) => !inOrder.includes(name))}'`);
}

const fileName = (direction: Direction, index: number): string => `${direction}_${index}.pb`;

/**
 * Requires a file for each input and output of the model, and tensors as inputs and outputs.
 * @throws ParityError `FIXTURE_INVALID`.
 */
function requireFiles(folder: string, model: Model, files: Record<Direction, readonly string[]>): void {
  const others = model.notTensors();
  for (const [direction, names] of [
    ['input', model.inputNames],
    ['output', model.outputNames],
  ] as const) {
    const odd = names.find((name) => others.has(name));
    if (odd !== undefined) {
      throw invalid(
        folder,
        `the model's ${direction} '${odd}' is ${others.get(odd)}; a test data set can hold tensors only`,
      );
    }
    requireCount(folder, direction, names, files[direction]);
  }
}

function requireCount(
  folder: string,
  direction: Direction,
  names: readonly string[],
  files: readonly string[],
): void {
  if (files.length === names.length) return;
  const needed = names.map((name, index) => `${fileName(direction, index)} ('${name}')`);
  throw invalid(
    folder,
    `it has ${countOf(direction, files)}, and its model has ${countOf(direction, needed)}; there must be a file for each`,
  );
}

/** Returns `2 inputs (input_0.pb, input_1.pb)`. */
const countOf = (direction: Direction, all: readonly string[]): string =>
  all.length === 0
    ? `no ${direction}`
    : `${all.length} ${direction}${all.length === 1 ? '' : 's'} (${all.join(', ')})`;

/** A tensor, and the file that it comes from. */
export interface FileTensor {
  readonly file: string;
  /** The name in the file; `''` if the tensor has no name. */
  readonly name: string;
  readonly tensor: TensorData;
}

/**
 * Assigns tensors to the model's inputs or outputs: a tensor goes to the input or output of its own name, the others
 * fill the rest in order. ONNX goes by the order; a tensor's name is what its exporter wrote, and may be missing.
 * @param tensors As many as there are names, in the order of their files.
 * @throws ParityError `FIXTURE_INVALID` if two tensors have one of the names.
 */
export function matchTensors(
  folder: string,
  tensors: readonly FileTensor[],
  names: readonly string[],
): Map<string, TensorData> {
  const named = new Map<string, FileTensor>();
  for (const one of tensors.filter(({ name }) => names.includes(name))) {
    const other = named.get(one.name);
    if (other) throw invalid(folder, `${other.file} and ${one.file} are both named '${one.name}'`);
    named.set(one.name, one);
  }
  const rest = tensors.filter(({ name }) => !named.has(name)).values();
  return new Map(names.map((name) => [name, (named.get(name) ?? rest.next().value!).tensor]));
}

/** How to run an existing model on a data set. */
export interface TestDataSpec {
  /** The execution provider to run on. */
  readonly provider: Provider;
  /** The session's option `groupNorm`. Default: the session chooses. */
  readonly groupNorm?: SessionLoweringName | undefined;
  /** The session's option `layout`. */
  readonly layout?: Layout | undefined;
  /** Replaces the dtype's relative tolerance for floats. */
  readonly rtol?: number | undefined;
  /** Replaces the dtype's absolute tolerance for floats. */
  readonly atol?: number | undefined;
  /** How large the parts of the model may be. Default: `DEFAULT_LIMITS`. */
  readonly limits?: Partial<Limits> | undefined;
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

const SPEC_OPTIONS = [
  'provider',
  'groupNorm',
  'layout',
  'rtol',
  'atol',
  'limits',
] as const satisfies (keyof TestDataSpec)[];

function requireDataSet(dataSet: TestDataSet): void {
  const { outputs, model } = (dataSet as TestDataSet | undefined | null) ?? {};
  if (isMap(outputs) && typeof model === 'string') return;
  throw new ParityError(
    'FIXTURE_INVALID',
    'checkTestDataSet: the first argument must be a data set: what readTestDataSet returns',
  );
}

async function loadAndRun(
  dataSet: TestDataSet,
  { provider, groupNorm, layout, limits, ...tolerance }: TestDataSpec,
): Promise<Outcome> {
  await using session = await createSession(dataSet.model, {
    providers: [provider],
    groupNorm,
    layout,
    limits,
  });
  return await runAndCompare(session, dataSet, tolerance);
}
