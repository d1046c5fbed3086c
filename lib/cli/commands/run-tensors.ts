/** Inputs of random numbers. */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { writeFilesAtomic } from '../../files/atomic.js';
import { decodeNpy, encodeNpy } from '../../files/npy.js';
import { readFileBytes } from '../../files/read.js';
import { castTensor, toFloat64Array } from '../../half.js';
import { suggestion } from '../../nearest.js';
import type { TensorInfo, TensorRecord } from '../../runtime/core/contract.js';
import { describeInput, unknownInputs } from '../../runtime/core/tensors.js';
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
} from '../../tensor.js';
import { Random } from '../../weights/initialize.js';
import type { Progress } from '../shared/progress.js';
import { formatBytes, formatNumber, plural } from '../shared/table.js';
import { UsageError } from '../shared/terminal.js';

/** From there on the generator, which takes two of 2³² positions for each number, would repeat itself. */
const MAX_ELEMENTS = 2 ** 31 - 1;

/** Elements that are made at once: some milliseconds, between which a spinner turns and Ctrl+C is heard. */
const CHUNK = 2 ** 17;

/**
 * Standard normal numbers in the input's dtype; the same seed gives the same ones.
 * @throws UsageError if the input takes no floats, or has more elements than can be made.
 */
export async function randomTensor(
  info: TensorInfo,
  dims: readonly number[],
  seed: number,
  progress?: Progress,
): Promise<TensorData> {
  const { name } = info;
  const dtype = requireFloat(info);
  const data = makeRoom(info, dims);
  const random = new Random(seed, name);
  for (let start = 0; start < data.length; start += CHUNK) {
    progress?.step(`random input ${name}, ${Math.floor((100 * start) / data.length)} %`);
    fill(data.subarray(start, start + CHUNK), dtype, (i) => random.normal(start + i));
    await setImmediate();
  }
  return tensor(dtype, dims, data);
}

function fill(part: ElementArray, dtype: FloatDType, numberAt: (i: number) => number): void {
  const wide = new Float64Array(part.length);
  for (let i = 0; i < wide.length; i++) wide[i] = numberAt(i);
  (part as Float64Array).set(castTensor(tensor('float64', [wide.length], wide), dtype).data as Float64Array);
}

function requireFloat({ name, dtype }: TensorInfo): FloatDType {
  if (isFloatDType(dtype)) return dtype;
  throw new UsageError(
    `input '${name}' is ${dtype}; random numbers are floats: give it a file, --input ${name}=FILE.npy`,
  );
}

function makeRoom({ name, dtype }: TensorInfo, dims: readonly number[]): ElementArray {
  const elements = elementCount(dims);
  const size = `${elements} elements, ${formatBytes(elements * bytesPerElement(dtype))} of ${dtype}`;
  const would = `random input '${name}' ${formatShape(dims)} would have ${size}`;
  if (elements > MAX_ELEMENTS) throw new UsageError(`${would}; allowed: at most ${MAX_ELEMENTS} elements`);
  try {
    return allocate(dtype, elements);
  } catch (cause) {
    throw new UsageError(`${would}, which do not fit in memory`, { cause });
  }
}

// SECTION: A model's inputs, from files or at random.

export interface InputRequest {
  /** A file or `random` by the input's name. */
  readonly input?: ReadonlyMap<string, string>;
  /** Sizes of random inputs by the dimension's name. */
  readonly dim?: ReadonlyMap<string, number>;
  readonly seed: number;
}

/** What a session is fed, and what was done to it that the user should know. */
export interface LoadedInputs {
  readonly feeds: TensorRecord;
  readonly notes: readonly string[];
}

/** @throws UsageError, or FileError if a file cannot be read. Shapes are the session's to check. */
export async function loadInputs(
  infos: readonly TensorInfo[],
  request: InputRequest,
  progress?: Progress,
): Promise<LoadedInputs> {
  const {
    input: sources = new Map<string, string>(),
    dim: sizes = new Map<string, number>(),
    seed,
  } = request;
  requireNames(infos, sources);
  const random = infos.filter(({ name }) => sources.get(name) === 'random').map(withShape);
  requireSizes(random, sizes, sources);
  const notes: string[] = [];
  const feeds: Record<string, TensorData> = {};
  for (const info of infos) {
    const source = sources.get(info.name)!;
    const shaped = random.find(({ name }) => name === info.name);
    if (shaped) {
      feeds[info.name] = await randomTensor(info, boundShape(shaped, sizes), seed, progress);
    } else {
      progress?.step(`reading ${source}`);
      const value = decodeNpy(await readFileBytes(source), source);
      const notFinite = describeNotFinite(value);
      if (notFinite) notes.push(`input ${info.name}: ${notFinite}`);
      feeds[info.name] = convert(info, source, value, notes);
    }
  }
  return { feeds, notes };
}

function requireNames(infos: readonly TensorInfo[], sources: ReadonlyMap<string, string>): void {
  const names = infos.map(({ name }) => name);
  const unknown = unknownInputs(infos, sources.keys());
  const missing = names
    .filter((name) => !sources.has(name))
    .map((name) => `input '${name}' is missing: add --input ${name}=FILE.npy or --input ${name}=random`);
  const problems = [...unknown, ...missing];
  if (problems.length === 0) return;
  const all = infos.map((info) => `  ${describeInput(info)}`);
  throw new UsageError([...problems, "The model's inputs:", ...all].join('\n'));
}

/** An input whose rank is known: `--dim` gives sizes for names, and there must be some. */
interface ShapedInput extends TensorInfo {
  readonly shape: Shape;
}

function withShape(info: TensorInfo): ShapedInput {
  const { name, shape } = info;
  if (shape) return { ...info, shape };
  throw new UsageError(
    `input '${name}' is of any rank: the model gives random numbers no shape; give it a file, --input ${name}=FILE.npy`,
  );
}

/** Every name bound, and no size for a name that there is not. */
function requireSizes(
  random: readonly ShapedInput[],
  sizes: ReadonlyMap<string, number>,
  sources: ReadonlyMap<string, string>,
): void {
  const names = new Set(random.flatMap(dimNames).filter((name) => name !== undefined));
  const unbound = [...names].filter((name) => !sizes.has(name));
  const odd = [...sizes.keys()].find((name) => !names.has(name));
  // First, for a mistyped name leaves the right one without a size.
  if (odd !== undefined) {
    const allowed = names.size === 0 ? describeNone(random, sources) : `names: ${[...names].join(', ')}`;
    throw new UsageError(
      `--dim ${odd}: no dimension of a random input has this name${suggestion(odd, names)}; ${allowed}`,
    );
  }
  if (unbound.length === 0) return;
  const shapes = random.map(({ name, shape }) => `'${name}' ${formatShape(shape)}`).join(', ');
  throw new UsageError(
    `random input ${shapes}: no size for ${unbound.join(', ')}; add --dim ${unbound.map((name) => `${name}=SIZE`).join(',')}`,
  );
}

/** Why there is no size to give: perhaps 'random' is mistyped. */
function describeNone(random: readonly ShapedInput[], sources: ReadonlyMap<string, string>): string {
  if (random.length > 0) return 'there are none to give';
  const given = [...sources].map(([name, source]) => `${name}=${source}`);
  return `no input is random, but: ${given.join(', ')}`;
}

/** The name that `--dim` knows each dimension by: its own, or where the model gives it none, `x.0`. */
const dimNames = ({ name, shape }: ShapedInput): (string | undefined)[] =>
  shape.map((dim, axis) => (typeof dim === 'number' ? undefined : dim || `${name}.${axis}`));

/** The sizes of a random input: the model's own, and for its names those of `--dim`. */
function boundShape(info: ShapedInput, sizes: ReadonlyMap<string, number>): number[] {
  const names = dimNames(info);
  return info.shape.map((dim, axis) => (typeof dim === 'number' ? dim : sizes.get(names[axis]!)!));
}

/** Floats become the input's float; nothing else is converted without being asked. */
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

// SECTION: A model's outputs: in figures, and as files.

/** `1 of 2240 elements is NaN`, `3 of 2240 elements are NaN or infinite`; nothing if all are finite. */
export function describeNotFinite(value: TensorData): string | undefined {
  if (!isFloatDType(value.dtype)) return undefined;
  let [nan, infinite] = [0, 0];
  for (const element of toFloat64Array(value)) {
    if (Number.isNaN(element)) nan += 1;
    else if (!Number.isFinite(element)) infinite += 1;
  }
  const count = nan + infinite;
  if (count === 0) return undefined;
  const what = infinite === 0 ? 'NaN' : nan === 0 ? 'infinite' : 'NaN or infinite';
  return `${count} of ${plural(value.data.length, 'element')} ${count === 1 ? 'is' : 'are'} ${what}`;
}

/** Smallest and largest finite element and the mean of these; {@link describeNotFinite} tells of the others. */
export function summarize(value: TensorData): [min: string, max: string, mean: string] {
  let [count, min, max, sum] = [0, Infinity, -Infinity, 0];
  for (const element of toFloat64Array(value)) {
    if (!Number.isFinite(element)) continue;
    count += 1;
    min = Math.min(min, element);
    max = Math.max(max, element);
    sum += element;
  }
  return count === 0 ? ['–', '–', '–'] : [formatNumber(min), formatNumber(max), formatNumber(sum / count)];
}

/** Where each output goes: a `.npy` file in `folder`, or nowhere if there is no folder. */
export function outputPaths(
  outputs: readonly { readonly name: string }[],
  folder: string | undefined,
): ReadonlyMap<string, string> {
  if (folder === undefined) return new Map();
  const names = fileNames(outputs.map(({ name }) => name));
  return new Map([...names].map(([output, file]) => [output, join(folder, file)]));
}

/**
 * Writes the outputs that have a path.
 * @returns The paths.
 * @throws FileError `FILE_UNWRITABLE`; then nothing has changed.
 */
export async function writeOutputs(
  outputs: TensorRecord,
  paths: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, string>> {
  await writeFilesAtomic([...paths].map(([name, path]) => ({ path, content: encodeNpy(outputs[name]!) })));
  return paths;
}

/**
 * A file name for each output: no folder, nothing hidden, nothing that a file system refuses, and no two that
 * differ in case alone.
 */
export function fileNames(outputs: readonly string[]): Map<string, string> {
  const result = new Map<string, string>();
  const taken = new Set<string>();
  for (const output of outputs) {
    const base =
      output
        .replace(/[^\w.-]/g, '_')
        .replace(/^[.-]/, '_')
        .replace(/^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i, '_$&')
        .slice(0, 200) || '_';
    let name = base;
    for (let count = 1; taken.has(name.toLowerCase()); count++) name = `${base}_${count}`;
    taken.add(name.toLowerCase());
    result.set(output, `${name}.npy`);
  }
  return result;
}
