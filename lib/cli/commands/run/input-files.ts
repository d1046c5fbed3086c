/** The files of `run --input`: `.npy`, `.npz`, `.pb` (a TensorProto) and `.json` (nested lists). */
import { extname } from 'node:path';
import { JsonReader } from '../../../files/json-reader.js';
import { checkNpyStart, decodeNpy, NPY_START } from '../../../files/npy.js';
import { findNpzEnd, NPZ_END, type NpzArchive, openNpz } from '../../../files/npz.js';
import type { RangedFile } from '../../../files/ranged.js';
import { readFileBytes, readStart } from '../../../files/read.js';
import { castTensor } from '../../../half.js';
import type { Limits } from '../../../limits.js';
import { listNames } from '../../../quantities.js';
import { requireModelSize } from '../../../onnx/encode.js';
import { decodeTensorFile } from '../../../onnx/protobuf/tensors.js';
import type { TensorInfo } from '../../../runtime/core/contract.js';
import { allocate, type DType, isFloatDType, tensor, type TensorData } from '../../../tensor.js';
import { UsageError } from '../../shared/terminal.js';

/**
 * Reads the tensor of an input from a file, whose extension says its format; `.npy` if the extension is another.
 * @throws FileError, ModelError or UsageError if the file cannot be read or holds no such tensor.
 */
export async function readInputFile(
  path: string,
  info: TensorInfo,
  limits?: Partial<Limits>,
): Promise<TensorData> {
  const { name, dtype } = info;
  if (dtype === undefined || dtype === 'string') {
    throw new UsageError(
      `input '${name}' takes texts; run reads files of numbers, and session.run takes texts`,
    );
  }
  const extension = extname(path).toLowerCase();
  const bytes = await readFileBytes(path, CHECKS.get(extension) ?? checkNpy);
  if (extension === '.npz') return arrayOfNpz(openNpz(bytes, path, { limits }), path, name);
  if (extension === '.pb') return decodeTensorFile(bytes, path, limits).tensor;
  if (extension === '.json') return tensorFromJson(new TextDecoder().decode(bytes), dtype, path);
  return decodeNpy(bytes, path);
}

/** Returns the array with the name of the input, or the only array. */
function arrayOfNpz({ names, read }: NpzArchive, path: string, input: string): TensorData {
  if (names.includes(input)) return read(input);
  if (names.length === 1) return read(names[0]!);
  throw new UsageError(
    `${path} has the arrays ${listNames(names)}, but no array '${input}'; ` +
      `in Python: numpy.savez('inputs.npz', **{'${input}': x})`,
  );
}

/** More than a million numbers. */
const MAX_JSON = 2 ** 25;

/** Enough of a file to say what it is. */
const FIRST_BYTES = 256;

/** By extension, what a file is refused for before it is read whole. */
const CHECKS = new Map<string, (file: RangedFile) => void | Promise<void>>([
  ['.png', refuseImage],
  ['.npz', checkNpz],
  ['.pb', ({ size, path }) => requireModelSize(size, path)],
  ['.json', checkJson],
]);

function refuseImage({ path }: RangedFile): never {
  throw new UsageError(`${path} is an image, and --input takes arrays: run takes images with --image`);
}

const checkNpy = async (file: RangedFile): Promise<void> =>
  checkNpyStart(await readStart(file, NPY_START), file.size, file.path);

async function checkNpz(file: RangedFile): Promise<void> {
  const length = Math.min(NPZ_END, file.size);
  if (findNpzEnd(await file.read(file.size - length, length)) >= 0) return;
  // Throws, because there is no end: with the kind of the file.
  openNpz(await readStart(file, FIRST_BYTES), file.path);
}

function checkJson({ size, path }: RangedFile): void {
  if (size <= MAX_JSON) return;
  throw new UsageError(
    `${path} has ${size} bytes; run reads JSON files of at most ${MAX_JSON}: save the array as a .npy file`,
  );
}

/** NumPy's limit. */
const MAX_RANK = 64;

/**
 * Makes a tensor out of nested lists of numbers, as `json.dump(x.tolist(), file)` writes them. Keeps the elements alone:
 * `JSON.parse` takes up to 50 times the memory of the text.
 * @param dtype The dtype of the tensor, which the model knows and JSON does not.
 * @throws UsageError if the text is not such lists, or if a number is not an element of the dtype.
 */
export function tensorFromJson(text: string, dtype: DType, path: string): TensorData {
  try {
    return readLists(text, dtype, path);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    const advice = /NaN|Infinity/.test(text)
      ? '; JSON has no NaN and no infinity, a .npy file holds them'
      : '';
    throw new UsageError(`${path} is not JSON: ${cause.message}${advice}`, { cause });
  }
}

function readLists(text: string, dtype: DType, path: string): TensorData {
  const json = new JsonReader(text);
  // Between two elements is a comma. Floats are collected in float64, so that they are rounded once.
  const wide = isFloatDType(dtype) ? 'float64' : dtype;
  const data = allocate(wide, countCommas(text) + 1);
  let count = 0;
  // The first list of each depth says the length of all. The first number, or the first empty list, says the rank.
  const dims: number[] = [];
  let rank: number | undefined;
  const place: number[] = [];
  const refuse = (what: string): UsageError =>
    new UsageError(`${path}: ${place.length === 0 ? 'the value' : `element [${place.join('][')}]`} ${what}`);
  const requireLength = (depth: number, what: string): UsageError =>
    refuse(`is ${what}, not a list of ${dims[depth]} as the lists before it`);

  const read = (): void => {
    const depth = place.length;
    const isList = json.peek() === '[';
    if (!isList) {
      const value = readElement(json);
      rank ??= depth;
      if (depth < rank) throw requireLength(depth, shown(value));
      if (!store(data, count++, value, dtype)) throw refuse(`is ${shown(value)}; ${wanted(value, dtype)}`);
      return;
    }
    if (depth === rank) throw refuse(`is a list of ${lengthOf(json)}; ${wanted([], dtype)}`);
    if (depth === MAX_RANK) throw new UsageError(`${path} has more than ${MAX_RANK} dimensions`);
    let length = 0;
    for (const index of json.elements()) {
      place[depth] = index;
      read();
      length = index + 1;
    }
    place.length = depth;
    rank ??= depth + 1;
    dims[depth] ??= length;
    if (length !== dims[depth]) throw requireLength(depth, `a list of ${length}`);
  };
  read();
  json.end();
  const lists = tensor(wide, dims, data.subarray(0, count));
  return isFloatDType(dtype) ? castTensor(lists, dtype) : lists;
}

function countCommas(text: string): number {
  let count = 0;
  for (let at = text.indexOf(','); at >= 0; at = text.indexOf(',', at + 1)) count++;
  return count;
}

/** Stands for an object, which is not built. */
const OBJECT = Symbol('an object');

/** Reads a value that is not a list. */
function readElement(json: JsonReader): unknown {
  const first = json.peek();
  if (first === '"') return json.string();
  if (/[tfn]/.test(first)) return json.literal();
  if (first !== '{') return json.number();
  json.skip();
  return OBJECT;
}

function lengthOf(json: JsonReader): number {
  let length = 0;
  for (const index of json.elements()) {
    json.skip();
    length = index + 1;
  }
  return length;
}

const shown = (value: unknown): string =>
  value === OBJECT ? 'an object' : JSON.stringify(value).slice(0, 40);

function wanted(part: unknown, dtype: DType): string {
  return Number.isInteger(part) && !Number.isSafeInteger(part)
    ? 'JSON holds integers up to 2^53 - 1 exactly: save the array as a .npy file'
    : `the input takes nested lists of ${dtype}`;
}

/** Stores an element; returns whether `value` is an element of the dtype. */
function store(data: TensorData['data'], index: number, value: unknown, dtype: DType): boolean {
  const isBool = dtype === 'bool' && (typeof value === 'boolean' || value === 0 || value === 1);
  if (!isBool && (dtype === 'bool' || typeof value !== 'number')) return false;
  const number = Number(value);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    // JSON.parse has rounded larger integers.
    if (!Number.isSafeInteger(number)) return false;
    data[index] = BigInt(number);
    return Number(data[index]) === number;
  }
  data[index] = number;
  return data[index] === number;
}
