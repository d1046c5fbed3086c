/** The inputs of `run` and `compare`: tensors from files, or random numbers. */
import { setImmediate } from 'node:timers/promises';
import type { Command } from 'commander';
import { castTensor } from '../../../half.js';
import { suggestion } from '../../../nearest.js';
import { formatBytes } from '../../../quantities.js';
import type { Limits } from '../../../limits.js';
import type { TensorInfo, TensorRecord } from '../../../runtime/core/contract.js';
import { describeInput, dimNames, unknownInputs } from '../../../runtime/core/tensors.js';
import {
  allocate,
  bytesPerElement,
  type ElementArray,
  elementCount,
  type FloatDType,
  formatShape,
  isFloatDType,
  type Shape,
  tensor,
  type TensorData,
} from '../../../tensor.js';
import { Random } from '../../../weights/initialize.js';
import { collectInput, collectSizes, parseInteger } from '../../shared/options.js';
import type { Progress } from '../../shared/progress.js';
import { UsageError } from '../../shared/terminal.js';
import { readInputFile } from './input-files.js';
import { describeNotFinite } from './outputs.js';

/** The options of a command that say what a model runs on. */
export interface InputOptions extends Omit<InputRequest, 'input'> {
  /** Texts such as `x=x.npy`. */
  readonly input?: readonly string[];
  /** Whether inputs without a text are random. */
  readonly random?: boolean;
}

/** Adds `--input`, `--random`, `--dim` and `--seed`. */
export const addInputOptions = (command: Command): Command =>
  command
    .option(
      '--input <name=file>',
      'NAME=FILE (.npy, .npz, .pb or .json) or NAME=random, once for each input',
      collectInput,
    )
    .option('--random', 'random numbers for every input that --input does not name')
    .option(
      '--dim <name=size>',
      'sizes of the named dimensions of random inputs, such as N=1,H=64',
      collectSizes,
    )
    .option('--seed <n>', 'seed of random inputs', parseInteger, 0);

/** Returns the file, or `random`, of each input by name. */
export function inputSources(
  { input = [], random = false }: InputOptions,
  infos: readonly TensorInfo[],
): Map<string, string> {
  const sources = splitInputs(input, infos);
  for (const { name, optional } of random ? infos : [])
    if (!optional && !sources.has(name)) sources.set(name, 'random');
  return sources;
}

export interface InputRequest {
  /** A path of a file, or `random`, for each input. */
  readonly input?: ReadonlyMap<string, string>;
  /** Sizes of the named dimensions of random inputs. */
  readonly dim?: ReadonlyMap<string, number>;
  /** Seed of random inputs. */
  readonly seed: number;
  /** The limits for the files. */
  readonly limit?: Partial<Limits>;
}

interface LoadedInputs {
  readonly feeds: TensorRecord;
  /** Lines about conversions, and about NaN and infinite elements. */
  readonly notes: readonly string[];
}

/**
 * Returns the file, or `random`, of each input by name, out of texts such as `x=x.npy`. Names and paths may contain
 * `=`: the longest name that is an input of the model counts, and without such a name the text before the first `=`.
 * @throws UsageError if an input is given twice.
 */
export function splitInputs(texts: readonly string[], infos: readonly TensorInfo[]): Map<string, string> {
  const longestFirst = infos.map(({ name }) => name).sort((a, b) => b.length - a.length);
  const sources = new Map<string, string>();
  for (const text of texts) {
    const isName = (known: string): boolean => text.startsWith(`${known}=`) && text.length > known.length + 1;
    const name = longestFirst.find(isName) ?? text.slice(0, text.indexOf('='));
    if (sources.has(name)) throw new UsageError(`--input gives '${name}' twice; give each input once`);
    sources.set(name, text.slice(name.length + 1));
  }
  return sources;
}

/**
 * Reads or makes a tensor for each input of a model. Leaves it to the session to check the shapes of files.
 * @throws UsageError if an input is missing or unknown or does not fit, FileError if a file cannot be read.
 */
export async function loadInputs(
  infos: readonly TensorInfo[],
  request: InputRequest,
  progress?: Progress,
): Promise<LoadedInputs> {
  const {
    input: sources = new Map<string, string>(),
    dim: sizes = new Map<string, number>(),
    seed,
    limit,
  } = request;
  requireNames(infos, sources);
  const random = infos.filter(({ name }) => sources.get(name) === 'random').map(requireFillable);
  requireSizes(random, sizes, sources);
  const notes: string[] = [];
  const feeds: Record<string, TensorData> = {};
  for (const info of infos.filter(({ name }) => sources.has(name))) {
    const source = sources.get(info.name)!;
    const randomInput = random.find(({ name }) => name === info.name);
    if (randomInput) {
      feeds[info.name] = await randomTensor(info, boundShape(randomInput, sizes), seed, progress);
    } else {
      progress?.step(`reading ${source}`);
      const value = await readInputFile(source, info, limit);
      const notFinite = describeNotFinite(value);
      if (notFinite) notes.push(`input ${info.name}: ${notFinite}`);
      feeds[info.name] = convert(info, source, value, notes);
    }
  }
  return { feeds, notes };
}

function requireNames(infos: readonly TensorInfo[], sources: ReadonlyMap<string, string>): void {
  const unknown = unknownInputs(infos, sources.keys());
  const missing = infos
    .filter(({ name, optional }) => !sources.has(name) && !optional)
    .map(({ name }) => `input '${name}' is missing; add --input ${name}=FILE.npy or --input ${name}=random`);
  const problems = [...unknown, ...missing];
  if (problems.length === 0) return;
  const all = infos.map((info) => `  ${describeInput(info)}`);
  throw new UsageError([...problems, 'The inputs of the model:', ...all]);
}

/** An input of floats of known rank, which random numbers need. */
interface RandomInput extends TensorInfo {
  readonly shape: Shape;
}

function requireFillable(info: TensorInfo): RandomInput {
  const { name, shape } = info;
  requireFloat(info);
  if (shape) return { ...info, shape };
  throw new UsageError(
    `the model does not declare the rank of input '${name}', so it cannot be random; use a file: --input ${name}=FILE.npy`,
  );
}

/** Checks that each named dimension has a size, and that each size has its dimension. */
function requireSizes(
  random: readonly RandomInput[],
  sizes: ReadonlyMap<string, number>,
  sources: ReadonlyMap<string, string>,
): void {
  const names = new Set(random.flatMap(dimNames).filter((name) => name !== undefined));
  const unbound = [...names].filter((name) => !sizes.has(name));
  const unknown = [...sizes.keys()].find((name) => !names.has(name));
  // This comes first, because a mistyped name also leaves the right name without a size.
  if (unknown !== undefined) {
    const allowed =
      names.size === 0 ? describeNoNames(random, sources) : `the names are ${[...names].join(', ')}`;
    throw new UsageError(
      `--dim ${unknown}: no dimension of a random input has this name${suggestion(unknown, names)}; ${allowed}`,
    );
  }
  if (unbound.length === 0) return;
  const shapes = random.map(({ name, shape }) => `'${name}' ${formatShape(shape)}`).join(', ');
  throw new UsageError(
    `random input ${shapes}: no size for ${unbound.join(', ')}; add --dim ${unbound.map((name) => `${name}=SIZE`).join(',')}`,
  );
}

/** Says why there are no names. The word `random` may be mistyped, so the message repeats the inputs. */
function describeNoNames(random: readonly RandomInput[], sources: ReadonlyMap<string, string>): string {
  if (random.length > 0) return 'the sizes of all dimensions are fixed';
  const given = [...sources].map(([name, source]) => `${name}=${source}`);
  return `no input is random; the inputs are ${given.join(', ')}`;
}

function boundShape(info: RandomInput, sizes: ReadonlyMap<string, number>): number[] {
  const names = dimNames(info);
  return info.shape.map((dim, axis) => (typeof dim === 'number' ? dim : sizes.get(names[axis]!)!));
}

/** Converts floats to the float dtype of the input, with a note. Refuses all other conversions. */
function convert({ name, dtype }: TensorInfo, file: string, value: TensorData, notes: string[]): TensorData {
  if (value.dtype === dtype) return value;
  if (!isFloatDType(value.dtype) || !isFloatDType(dtype)) {
    throw new UsageError(
      `${file} is ${value.dtype}, but input '${name}' is ${dtype}; convert it, in NumPy: x.astype('${dtype}')`,
    );
  }
  notes.push(`input ${name}: ${file} converted from ${value.dtype} to ${dtype}`);
  return castTensor(value, dtype);
}

/** The generator takes two of its 2³² positions for each number, and would then repeat itself. */
const MAX_ELEMENTS = 2 ** 31 - 1;

/** Elements made in one go: some milliseconds, after which the spinner turns and Ctrl+C works. */
const CHUNK = 2 ** 17;

/**
 * Returns standard normal numbers in the dtype of the input, always the same numbers for a seed.
 * @throws UsageError if the dtype is not a float, or if there are too many elements.
 */
export async function randomTensor(
  info: TensorInfo,
  dims: readonly number[],
  seed: number,
  progress?: Progress,
): Promise<TensorData> {
  const { name } = info;
  const dtype = requireFloat(info);
  const data = allocateElements(name, dtype, dims);
  const random = new Random(seed, name);
  for (let start = 0; start < data.length; start += CHUNK) {
    progress?.step(`random input ${name}, ${Math.floor((100 * start) / data.length)} %`);
    fill(data.subarray(start, start + CHUNK), dtype, (i) => random.normal(start + i));
    await setImmediate();
  }
  return tensor(dtype, dims, data);
}

function requireFloat({ name, dtype }: TensorInfo): FloatDType {
  if (isFloatDType(dtype)) return dtype;
  throw new UsageError(
    `input '${name}' is ${dtype}, but random numbers are floats; use a file: --input ${name}=FILE.npy`,
  );
}

function allocateElements(
  name: string,
  dtype: FloatDType,
  dims: readonly number[],
): ElementArray<FloatDType> {
  const elements = elementCount(dims);
  const size = Number.isFinite(elements)
    ? `${elements} elements, ${formatBytes(elements * bytesPerElement(dtype))} of ${dtype}`
    : 'more than 2^53 elements';
  const would = `random input '${name}' ${formatShape(dims)} would have ${size}`;
  if (elements > MAX_ELEMENTS) throw new UsageError(`${would}; allowed: at most ${MAX_ELEMENTS} elements`);
  try {
    return allocate(dtype, elements);
  } catch (cause) {
    throw new UsageError(`${would}, which does not fit in memory`, { cause });
  }
}

function fill(part: ElementArray<FloatDType>, dtype: FloatDType, numberAt: (i: number) => number): void {
  const wide = new Float64Array(part.length);
  for (let i = 0; i < wide.length; i++) wide[i] = numberAt(i);
  part.set(castTensor(tensor('float64', [wide.length], wide), dtype).data);
}
