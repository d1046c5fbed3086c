/**
 * Parses and checks the beginning of a safetensors file: a header length (u64, little-endian) and a JSON header.
 * Source: "Format" in the README of huggingface/safetensors; where that is silent, what its reader accepts.
 */
import { isUint8Array, unshared } from '../arrays.js';
import { WeightsError } from '../errors.js';
import { type FileKind, KINDS, sniff } from '../files/sniff.js';
import { bytesPerElement, type DType, elementCount, formatShape } from '../tensor.js';
import { FLOAT8_NAMES, isFloat8 } from './float8.js';

/** One tensor of a safetensors file. */
export interface SafetensorsEntry {
  /** The format's name of the elements in the file, such as F32 or F8_E4M3. */
  readonly storedAs: string;
  /**
   * The dtype of the tensor that is read: float32 for 8-bit floats; `undefined` if this library does not hold such
   * elements (C64, F4, F6), so that reading the tensor fails.
   */
  readonly dtype: DType | undefined;
  /** The size of each dimension, the outermost first; empty for a scalar. */
  readonly dims: readonly number[];
  /** The tensor's first byte, counted from the start of the file. */
  readonly start: number;
  /** The byte after the tensor's last, counted from the start of the file. */
  readonly end: number;
}

/** The header of a safetensors file. */
export interface SafetensorsHeader {
  /** Texts by name; the format gives them no meaning. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensors by name, in the order of their bytes in the file. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** The number of bytes before the first tensor. */
  readonly headerSize: number;
}

/** The number of bytes before the JSON header: its length as u64. */
export const SAFETENSORS_PREFIX = 8;

/** The longest header that the reference implementation reads, in bytes. */
export const MAX_HEADER = 100_000_000;

/** What to do with a file of another kind. */
const SAVE =
  "; to make one, in Python: safetensors.torch.save_file(model.state_dict(), 'state_dict.safetensors')";
const INSTEAD: Partial<Record<FileKind, string>> = {
  torch: SAVE,
  zip: SAVE,
  onnx: '; weights come from a state_dict',
  npy: ', which has no names for its tensors',
  npz: "; in Python: safetensors.numpy.save_file(dict(numpy.load('w.npz')), 'w.safetensors')",
  json: '; if it is an index, name one of the .safetensors files that it lists',
  lfs: "; 'git lfs pull' fetches the file itself",
};

/** The key of the header that holds the metadata. */
export const METADATA_KEY = '__metadata__';

const DTYPE_OF = new Map<string, DType>([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['U64', 'uint64'],
  ['I32', 'int32'],
  ['U32', 'uint32'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['I8', 'int8'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

/** The format's names of the dtypes that this library reads. */
export const READABLE: readonly string[] = [...DTYPE_OF.keys(), ...FLOAT8_NAMES];

/** The format's name of each dtype. */
export const NAME_OF = new Map([...DTYPE_OF].map(([name, dtype]) => [dtype, name]));

/**
 * Returns the number of bytes before the first tensor, which {@link parseSafetensorsHeader} needs.
 * @param prefix The first 8 bytes of the file, or more.
 * @param totalSize The size of the file in bytes.
 * @param where What messages call the data: the file's path.
 * @throws WeightsError `SAFETENSORS_INVALID` if the header would be longer than the file or than 100 MB.
 */
export function safetensorsHeaderSize(prefix: Uint8Array, totalSize: number, where = 'the data'): number {
  if (!isUint8Array(prefix)) {
    throw invalid(where, 'it must be given as its bytes, a Uint8Array; openSafetensors takes a path');
  }
  if (prefix.byteLength < SAFETENSORS_PREFIX) {
    throw invalid(where, `it has ${prefix.byteLength} bytes, too few for the length of a header`);
  }
  const claimed = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  const there = totalSize - SAFETENSORS_PREFIX;
  if (claimed > there) {
    const kind = sniff(prefix);
    if (kind && kind !== 'safetensors') throw invalid(where, `it is ${KINDS[kind]}${INSTEAD[kind] ?? ''}`);
    const problem = `its header claims ${claimed} bytes, but only ${there} follow`;
    throw invalid(where, `${problem}: it is truncated, or another kind of file`);
  }
  if (claimed > MAX_HEADER) {
    throw invalid(where, `its header claims ${claimed} bytes; allowed: at most ${MAX_HEADER}`);
  }
  return SAFETENSORS_PREFIX + Number(claimed);
}

/**
 * Parses and checks the header of a safetensors file.
 * Source: "Format" in the README of huggingface/safetensors.
 * @param bytes The file from its start, at least {@link safetensorsHeaderSize} bytes of it.
 * @param totalSize The size of the file in bytes.
 * @param where What messages call the data: the file's path.
 * @throws WeightsError `SAFETENSORS_INVALID` if the header breaks the format: a key twice, a shape that does not
 *   fit its bytes, bytes that belong to two tensors or to no tensor.
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  totalSize: number,
  where = 'the data',
): SafetensorsHeader {
  const headerSize = safetensorsHeaderSize(bytes, totalSize, where);
  const json = parseJson(bytes.subarray(SAFETENSORS_PREFIX, headerSize), where);
  const entries = Object.entries(json)
    .filter(([name]) => name !== METADATA_KEY)
    .map(([name, info]) => [name, parseEntry(name, info, headerSize, where)] as const)
    .sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  checkTiling(entries, headerSize, totalSize, where);
  return { metadata: parseMetadata(json[METADATA_KEY] ?? {}, where), tensors: new Map(entries), headerSize };
}

const invalid = (where: string, what: string, options?: ErrorOptions): WeightsError =>
  new WeightsError('SAFETENSORS_INVALID', `${where} is not a valid safetensors file: ${what}`, options);

function parseJson(bytes: Uint8Array, where: string): Record<string, unknown> {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(unshared(bytes));
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(where, 'its header is not JSON in UTF-8', { cause: error });
  }
  if (!text.startsWith('{') || !isObject(json)) throw invalid(where, "its header does not begin with '{'");
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) throw invalid(where, `its header has the key '${duplicate}' twice`);
  return json;
}

function parseMetadata(value: unknown, where: string): Record<string, string> {
  if (!isObject(value)) throw invalid(where, `${METADATA_KEY} must be an object`);
  // Without a prototype, so that `metadata.constructor` is undefined unless the file has it.
  const metadata = Object.create(null) as Record<string, string>;
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw invalid(where, `${METADATA_KEY} '${key}' must be a string`);
    if (![key, text].every(isWellFormed))
      throw invalid(where, `${METADATA_KEY} '${key}' is not Unicode text`);
    metadata[key] = text;
  }
  return metadata;
}

function parseEntry(name: string, info: unknown, headerSize: number, where: string): SafetensorsEntry {
  const at = `tensor '${name}'`;
  if (!isWellFormed(name)) throw invalid(where, `${at}: its name is not Unicode text`);
  if (!isObject(info)) throw invalid(where, `${at} must be an object of dtype, shape and data_offsets`);
  const { dtype: dtypeName, shape: dims, data_offsets: offsets } = info;
  if (typeof dtypeName !== 'string') throw invalid(where, `${at}: dtype must be a string`);
  if (!areSizes(dims)) throw invalid(where, `${at}: shape must be a list of integers from 0 to 2^53 - 1`);
  if (!areSizes(offsets) || offsets.length !== 2) {
    throw invalid(where, `${at}: data_offsets must be two integers from 0 to 2^53 - 1`);
  }
  const [start, end] = offsets as [number, number];
  const width = bytesPerStored(dtypeName);
  const size = width === undefined ? undefined : elementCount(dims) * width;
  if (size === undefined ? end < start : end - start !== size) {
    const takes =
      size === undefined ? '' : `shape ${formatShape(dims)} of ${dtypeName} takes ${size} bytes, but `;
    throw invalid(where, `${at}: ${takes}data_offsets [${start}, ${end}] hold ${end - start}`);
  }
  const dtype = isFloat8(dtypeName) ? 'float32' : DTYPE_OF.get(dtypeName);
  return { storedAs: dtypeName, dtype, dims, start: headerSize + start, end: headerSize + end };
}

/** Returns the bytes of one element in the file, or `undefined` for a dtype that this library does not read. */
function bytesPerStored(dtypeName: string): number | undefined {
  if (isFloat8(dtypeName)) return 1;
  const dtype = DTYPE_OF.get(dtypeName);
  return dtype && bytesPerElement(dtype);
}

/** Requires that every byte after the header belongs to one tensor, so that tensors take no more memory than the file. */
function checkTiling(
  entries: readonly (readonly [string, SafetensorsEntry])[],
  headerSize: number,
  totalSize: number,
  where: string,
): void {
  let end = headerSize;
  for (const [name, entry] of entries) {
    if (entry.start !== end) {
      const fault = entry.start < end ? 'overlaps the tensor before it' : 'leaves bytes unused before it';
      const offsets = `starts at byte ${entry.start - headerSize} of the data, not ${end - headerSize}`;
      throw invalid(where, `tensor '${name}' ${fault}: it ${offsets}`);
    }
    end = entry.end;
  }
  if (end !== totalSize) {
    const fault = end > totalSize ? 'it is truncated' : 'bytes follow its end';
    throw invalid(where, `its tensors end at byte ${end}, but it has ${totalSize} bytes: ${fault}`);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const areSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);

/** Whether text can be written as UTF-8: half of a surrogate pair cannot. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);

/**
 * Returns the first key that an object in `json` has twice, or `undefined`. `JSON.parse` keeps the last one silently.
 * @param json Valid JSON, of which only the strings, braces and colons matter here.
 */
export function duplicateKey(json: string): string | undefined {
  // The keys of each open object, the innermost last.
  const open: Set<string>[] = [];
  let lastString = '';
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '{') open.push(new Set());
    else if (char === '}') open.pop();
    else if (char === '"') {
      const end = endOfString(json, at);
      lastString = json.slice(at, end);
      at = end - 1;
    } else if (char === ':') {
      // Parsed as JSON, because "\u0061" is "a".
      const key = JSON.parse(lastString) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Returns the index after the closing quote of the string that begins at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}
