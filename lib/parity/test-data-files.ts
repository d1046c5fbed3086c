/** Data sets of existing models: the files of a folder as a model's inputs and outputs. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FileError, ParityError } from '../errors.js';
import { readFileBytes } from '../files/read.js';
import { reasonOf, systemCode } from '../files/system-error.js';
import { Model } from '../onnx/model.js';
import { decodeTensorFile, type NamedTensor } from '../onnx/tensors.js';
import type { TensorData } from '../tensor.js';
import type { TestDataSet } from './test-data-set.js';

/** What the files of a data set are for. */
export type Direction = 'input' | 'output';

const FILE_NAME = /^(input|output)_(0|[1-9]\d*)\.pb$/;

/**
 * The names of a data set's files in their order, out of all that is in its folder. A name with a dot before it is
 * no part of it.
 * @throws ParityError `FIXTURE_INVALID` if there are others, or one is missing before the last.
 */
export function sortFiles(folder: string, names: readonly string[]): Record<Direction, readonly string[]> {
  const seen = names.filter((name) => !name.startsWith('.'));
  // A mistyped name would leave its file unread, and what was to be compared uncompared.
  const odd = seen.find((name) => !FILE_NAME.test(name));
  if (odd !== undefined) throw invalid(folder, `it holds '${odd}'; allowed: ${ALLOWED}`);
  return { input: numbered(folder, 'input', seen), output: numbered(folder, 'output', seen) };
}

const ALLOWED = 'input_0.pb, input_1.pb and so on, output_0.pb, output_1.pb and so on';

function numbered(folder: string, direction: Direction, names: readonly string[]): string[] {
  const own = names.filter((name) => name.startsWith(direction));
  const inOrder = own.map((_, index) => fileName(direction, index));
  const gap = inOrder.find((name) => !own.includes(name));
  if (gap === undefined) return inOrder;
  throw invalid(folder, `there is no '${gap}', but '${own.find((name) => !inOrder.includes(name))}'`);
}

const fileName = (direction: Direction, index: number): string => `${direction}_${index}.pb`;

/**
 * Checks that a data set has a file for each input and output of its model, and that these are tensors.
 * @throws ParityError `FIXTURE_INVALID`.
 */
export function requireFiles(
  folder: string,
  model: Model,
  files: Record<Direction, readonly string[]>,
): void {
  const others = model.notTensors();
  for (const [direction, names] of [
    ['input', model.inputNames],
    ['output', model.outputNames],
  ] as const) {
    requireTensors(folder, direction, names, others);
    requireCount(folder, direction, names, files[direction]);
  }
}

function requireTensors(
  folder: string,
  direction: Direction,
  names: readonly string[],
  others: ReadonlyMap<string, string>,
): void {
  const odd = names.find((name) => others.has(name));
  if (odd === undefined) return;
  throw invalid(folder, `the model's ${direction} '${odd}' is ${others.get(odd)}; allowed: tensors`);
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

/** `2 inputs (input_0.pb, input_1.pb)`. */
const countOf = (direction: Direction, all: readonly string[]): string =>
  all.length === 0
    ? `no ${direction}`
    : `${all.length} ${direction}${all.length === 1 ? '' : 's'} (${all.join(', ')})`;

/** A tensor, and the file that it is from. */
export interface FileTensor extends NamedTensor {
  readonly file: string;
}

/**
 * Which of the model's inputs or outputs each tensor is: the one whose name it bears, and of the others the first
 * that is left. ONNX goes by the order; names are those of the exporter, or none.
 * @param tensors As many as there are names, in the order of their files.
 * @throws ParityError `FIXTURE_INVALID` if two tensors bear one of the names.
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

export const invalid = (folder: string, problem: string, cause?: unknown): ParityError =>
  new ParityError('FIXTURE_INVALID', `${folder} is no test data set: ${problem}`, { cause });

// SECTION: Data sets of existing models on disk.

/** Where the model of a data set lies. */
export const modelPathOf = (folder: string): string => join(folder, '..', 'model.onnx');

/**
 * Reads one data set of an existing model, as ONNX lays out its own tests and the ONNX model zoo its models:
 * `input_0.pb`, `output_0.pb` and so on in a folder, each a TensorProto, and `model.onnx` beside the folder. The
 * files are the model's inputs that are no initializers, and its outputs, in the model's order; a tensor that bears
 * the name of one is that one.
 * @param folder Path of the data set, such as `resnet/test_data_set_0`.
 * @throws FileError if something cannot be read, ModelError if the model or a tensor is none, ParityError
 *   `FIXTURE_INVALID` if files are missing or there are others, or if the model takes or gives what is not a tensor.
 */
export async function readTestDataSet(folder: string): Promise<TestDataSet> {
  const files = sortFiles(folder, await listFiles(folder));
  const path = modelPathOf(folder);
  const model = Model.decode(await readModelBytes(folder, path), path);
  requireFiles(folder, model, files);
  const read = async (names: readonly string[], of: readonly string[]) =>
    matchTensors(folder, await readTensors(folder, names), of);
  return {
    file: folder,
    model: path,
    opset: model.opset,
    inputs: await read(files.input, model.inputNames),
    outputs: await read(files.output, model.outputNames),
  };
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
    return await readFileBytes(path);
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'FILE_NOT_FOUND') throw error;
    throw invalid(folder, `its model must lie beside it, as '${path}', which does not exist`, error);
  }
}

async function readTensors(folder: string, names: readonly string[]): Promise<FileTensor[]> {
  const tensors: FileTensor[] = [];
  for (const file of names) {
    const path = join(folder, file);
    tensors.push({ file, ...decodeTensorFile(await readFileBytes(path), path) });
  }
  return tensors;
}
