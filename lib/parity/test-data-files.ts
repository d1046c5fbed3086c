/**
 * The files of a data set of an existing model, in the layout of ONNX's own tests and the ONNX model zoo: sorts them,
 * checks them against the model, and assigns their tensors to its inputs and outputs.
 */
import { ParityError } from '../errors.js';
import type { Model } from '../onnx/model.js';
import type { NamedTensor } from '../onnx/tensors.js';
import type { TensorData } from '../tensor.js';

type Direction = 'input' | 'output';

const FILE_NAME = /^(input|output)_(0|[1-9]\d*)\.pb$/;
const ALLOWED = 'input_0.pb, input_1.pb and so on, output_0.pb, output_1.pb and so on';

export const invalid = (folder: string, problem: string, cause?: unknown): ParityError =>
  new ParityError('FIXTURE_INVALID', `${folder} is not a test data set: ${problem}`, { cause });

/**
 * Sorts the names of a folder's files into inputs and outputs by number. Skips names that begin with a dot.
 * @throws ParityError `FIXTURE_INVALID` if there are other files, or a number is missing before the last.
 */
export function sortFiles(folder: string, names: readonly string[]): Record<Direction, readonly string[]> {
  const seen = names.filter((name) => !name.startsWith('.'));
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
    const odd = names.find((name) => others.has(name));
    if (odd !== undefined) {
      throw invalid(folder, `the model's ${direction} '${odd}' is ${others.get(odd)}; allowed: tensors`);
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
export interface FileTensor extends NamedTensor {
  readonly file: string;
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
