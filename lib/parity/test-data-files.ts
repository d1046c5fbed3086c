/** Data sets of existing models: the files of a folder as a model's inputs and outputs. */
import { ParityError } from '../errors.js';
import type { Model } from '../onnx/model.js';
import type { NamedTensor } from '../onnx/tensors.js';
import type { TensorData } from '../tensor.js';

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
