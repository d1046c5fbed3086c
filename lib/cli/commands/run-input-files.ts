/** The files of `run --input`: `.npy`, `.npz`, `.pb` (a TensorProto) and `.json` (nested lists). */
import { extname } from 'node:path';
import { decodeNpy } from '../../files/npy.js';
import { openNpz } from '../../files/npz.js';
import { readFileBytes } from '../../files/read.js';
import { castTensor } from '../../half.js';
import { listNames } from '../../quantities.js';
import { decodeTensorFile } from '../../onnx/tensors.js';
import type { TensorInfo } from '../../runtime/core/contract.js';
import { allocate, type DType, elementCount, isFloatDType, tensor, type TensorData } from '../../tensor.js';
import { UsageError } from '../shared/terminal.js';

/**
 * Reads the tensor of an input from a file, whose extension says its format; `.npy` if the extension is another.
 * @throws FileError, ModelError or UsageError if the file cannot be read or holds no such tensor.
 */
export async function readInputFile(path: string, info: TensorInfo): Promise<TensorData> {
  const { name, dtype } = info;
  if (dtype === undefined || dtype === 'string') {
    throw new UsageError(
      `input '${name}' takes texts; run reads files of numbers, and session.run takes texts`,
    );
  }
  const bytes = await readFileBytes(path);
  const extension = extname(path).toLowerCase();
  if (extension === '.npz') return arrayOfNpz(bytes, path, name);
  if (extension === '.pb') return decodeTensorFile(bytes, path).tensor;
  if (extension === '.json') return tensorFromJson(jsonText(bytes, path), dtype, path);
  return decodeNpy(bytes, path);
}

/** Returns the array with the name of the input, or the only array. */
function arrayOfNpz(bytes: Uint8Array, path: string, input: string): TensorData {
  const { names, read } = openNpz(bytes, path);
  if (names.includes(input)) return read(input);
  if (names.length === 1) return read(names[0]!);
  throw new UsageError(
    `${path} has the arrays ${listNames(names)}, but no array '${input}'; ` +
      `in Python: numpy.savez('inputs.npz', **{'${input}': x})`,
  );
}

/** 32 MiB are more than a million numbers. Parsed, deeply nested lists take 50 times as much memory. */
const MAX_JSON = 2 ** 25;

function jsonText(bytes: Uint8Array, path: string): string {
  if (bytes.byteLength <= MAX_JSON) return new TextDecoder().decode(bytes);
  throw new UsageError(
    `${path} has ${bytes.byteLength} bytes; run reads JSON files of at most ${MAX_JSON}: save the array as a .npy file`,
  );
}

/** NumPy's limit. */
const MAX_RANK = 64;

/**
 * Makes a tensor out of nested lists of numbers, as `json.dump(x.tolist(), file)` writes them.
 * @param dtype The dtype of the tensor, which the model knows and JSON does not.
 * @throws UsageError if the text is not such lists, or if a number is not an element of the dtype.
 */
export function tensorFromJson(text: string, dtype: DType, path: string): TensorData {
  // Before the text is parsed: parsed, deep nesting takes the most memory, and messages could not show it.
  if (isDeeper(text, MAX_RANK)) throw new UsageError(`${path} has more than ${MAX_RANK} dimensions`);
  const value = parseJson(text, path);
  const dims = dimsOf(value);
  // Floats are collected in float64, so that they are rounded once.
  const data = allocate(isFloatDType(dtype) ? 'float64' : dtype, elementCount(dims));
  let count = 0;
  const place: number[] = [];
  const refuse = (what: string): UsageError =>
    new UsageError(`${path}: ${place.length === 0 ? 'the value' : `element [${place.join('][')}]`} ${what}`);
  const collect = (part: unknown): void => {
    if (place.length === dims.length) {
      if (store(data, count++, part, dtype)) return;
      throw refuse(`is ${shown(part)}; ${wanted(part, dtype)}`);
    }
    const length = dims[place.length]!;
    if (!Array.isArray(part) || part.length !== length) {
      throw refuse(`is ${shown(part)}, not a list of ${length} as the lists before it`);
    }
    place.push(0);
    for (const [index, element] of part.entries()) {
      place[place.length - 1] = index;
      collect(element);
    }
    place.pop();
  };
  collect(value);
  return isFloatDType(dtype) ? castTensor(tensor('float64', dims, data), dtype) : tensor(dtype, dims, data);
}

const shown = (value: unknown): string =>
  Array.isArray(value) ? `a list of ${value.length}` : JSON.stringify(value).slice(0, 40);

function wanted(part: unknown, dtype: DType): string {
  return Number.isInteger(part) && !Number.isSafeInteger(part)
    ? 'JSON holds integers up to 2^53 - 1 exactly: save the array as a .npy file'
    : `the input takes nested lists of ${dtype}`;
}

/** Whether lists and objects of a JSON text are nested deeper than `limit`. */
function isDeeper(text: string, limit: number): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
    if (depth > limit) return true;
  }
  return false;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = (cause as Error).message;
    const advice = /NaN|Infinity/.test(text)
      ? '; JSON has no NaN and no infinity, a .npy file holds them'
      : '';
    throw new UsageError(`${path} is not JSON: ${reason}${advice}`, { cause });
  }
}

/** Returns the length of the outermost list, that of its first list, and so on. */
function dimsOf(value: unknown): number[] {
  const dims: number[] = [];
  for (let part = value; Array.isArray(part); part = part[0] as unknown) dims.push(part.length);
  return dims;
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
