/**
 * Parses and checks the beginning of a safetensors file: a header length (u64, little-endian) and a JSON header.
 * Source: "Format" in the README of huggingface/safetensors; where that is silent, what its reader accepts.
 */
import { isUint8Array, unshared } from '../arrays.js';
import { WeightsError } from '../errors.js';
import { JsonReader } from '../files/json-reader.js';
import { type FileKind, KINDS, sniff } from '../files/sniff.js';
import { type Limits, overLimit, requireLimits } from '../limits.js';
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

/** How to read a safetensors file. */
export interface SafetensorsOptions {
  /** How large the parts of its header may be. Default: {@link DEFAULT_LIMITS}. */
  readonly limits?: Partial<Limits> | undefined;
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
  npy: ', which has no names for its tensors',
  npz: "; in Python: safetensors.numpy.save_file(dict(numpy.load('w.npz')), 'w.safetensors')",
  json: '; if it is an index, name one of the .safetensors files that it lists',
  lfs: "; 'git lfs pull' fetches the file itself",
};
const OTHER = '; weights come from a state_dict';
const AGAIN = 'download or save it again';

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
    throw invalid(where, `it has ${prefix.byteLength} bytes, too few for the length of a header: ${AGAIN}`);
  }
  const claimed = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  const there = totalSize - SAFETENSORS_PREFIX;
  if (claimed > there) {
    const kind = sniff(prefix);
    if (kind && kind !== 'safetensors') throw invalid(where, `it is ${KINDS[kind]}${INSTEAD[kind] ?? OTHER}`);
    const problem = `its header claims ${claimed} bytes, but only ${there} follow`;
    throw invalid(where, `${problem}: it is truncated, or another kind of file; ${AGAIN}`);
  }
  if (claimed > MAX_HEADER) {
    throw invalid(where, `its header claims ${claimed} bytes; allowed: at most ${MAX_HEADER}`);
  }
  return SAFETENSORS_PREFIX + Number(claimed);
}

/**
 * Parses and checks the header of a safetensors file. Takes memory in proportion to the header, whatever it says.
 * Source: "Format" in the README of huggingface/safetensors.
 * @param bytes The file from its start, at least {@link safetensorsHeaderSize} bytes of it.
 * @param totalSize The size of the file in bytes.
 * @param where What messages call the data: the file's path.
 * @throws WeightsError `SAFETENSORS_INVALID` if the header breaks the format: a key twice, a shape that does not
 *   fit its bytes, bytes that belong to two tensors or to no tensor; `LIMIT_EXCEEDED`.
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  totalSize: number,
  where = 'the data',
  { limits }: SafetensorsOptions = {},
): SafetensorsHeader {
  const headerSize = safetensorsHeaderSize(bytes, totalSize, where);
  const context = { headerSize, where, limits: requireLimits('safetensors', limits) };
  const { metadata, tensors } = parseJson(bytes.subarray(SAFETENSORS_PREFIX, headerSize), context);
  const inOrder = sorted(tensors);
  checkTiling(inOrder, headerSize, totalSize, where);
  return { metadata, tensors: inOrder, headerSize };
}

/** What the parts of the header are read with. */
interface Context {
  readonly headerSize: number;
  readonly where: string;
  readonly limits: Limits;
}

const invalid = (where: string, what: string, options?: ErrorOptions): WeightsError =>
  new WeightsError('SAFETENSORS_INVALID', `${where} is not a valid safetensors file: ${what}`, options);

const tooLarge = (where: string, what: string, limit: keyof Limits): WeightsError =>
  new WeightsError('LIMIT_EXCEEDED', ...overLimit(`${where}: ${what}`, limit));

function parseJson(bytes: Uint8Array, context: Context): Omit<SafetensorsHeader, 'headerSize'> {
  const { where } = context;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(unshared(bytes));
    if (!text.startsWith('{')) throw invalid(where, "its header does not begin with '{'");
    return readHeader(new JsonReader(text), context);
  } catch (cause) {
    if (cause instanceof WeightsError) throw cause;
    throw invalid(where, `its header cannot be read as JSON in UTF-8: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function readHeader(json: JsonReader, context: Context): Omit<SafetensorsHeader, 'headerSize'> {
  const { where, limits } = context;
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> | undefined;
  for (const name of json.members()) {
    if (tensors.has(name) || (name === METADATA_KEY && metadata)) throw twice(where, name);
    if (name === METADATA_KEY) {
      metadata = readMetadata(json, context);
    } else {
      if (tensors.size >= limits.weightsEntries)
        throw tooLarge(where, `it has more than ${limits.weightsEntries} tensors`, 'weightsEntries');
      tensors.set(name, readEntry(json, name, context));
    }
  }
  json.end();
  // Without a prototype, so that `metadata.constructor` is undefined unless the file has it.
  return { metadata: metadata ?? (Object.create(null) as Record<string, string>), tensors };
}

const twice = (where: string, key: string): WeightsError =>
  invalid(where, `its header has the key '${key}' twice`);

function readMetadata(json: JsonReader, { where, limits }: Context): Record<string, string> {
  const metadata = Object.create(null) as Record<string, string>;
  if (json.peek() === 'n' && json.literal() === null) return metadata;
  if (json.peek() !== '{') throw invalid(where, `${METADATA_KEY} must be an object`);
  let count = 0;
  for (const key of json.members()) {
    if (++count > limits.weightsEntries)
      throw tooLarge(where, `it has more than ${limits.weightsEntries} texts of metadata`, 'weightsEntries');
    if (Object.hasOwn(metadata, key)) throw twice(where, key);
    if (json.peek() !== '"') throw invalid(where, `${METADATA_KEY} '${key}' must be a string`);
    const text = json.string();
    if (![key, text].every(isWellFormed))
      throw invalid(where, `${METADATA_KEY} '${key}' is not Unicode text`);
    metadata[key] = text;
  }
  return metadata;
}

function readEntry(json: JsonReader, name: string, context: Context): SafetensorsEntry {
  const { where, headerSize } = context;
  const at = `tensor '${name}'`;
  if (!isWellFormed(name)) throw invalid(where, `${at}: its name is not Unicode text`);
  if (json.peek() !== '{') throw invalid(where, `${at} must be an object of dtype, shape and data_offsets`);
  const fields = readFields(json, at, context);
  const { dtype: storedAs, shape: dims, data_offsets: offsets } = fields;
  if (storedAs === undefined) throw invalid(where, `${at}: ${RULES.dtype}`);
  if (!dims) throw invalid(where, `${at}: ${RULES.shape}`);
  if (offsets?.length !== 2) throw invalid(where, `${at}: ${RULES.data_offsets}`);
  const [start, end] = offsets as [number, number];
  const width = bytesPerStored(storedAs);
  const size = width === undefined ? undefined : elementCount(dims) * width;
  if (size === undefined ? end < start : end - start !== size) {
    const takes =
      size === undefined ? '' : `shape ${formatShape(dims)} of ${storedAs} takes ${size} bytes, but `;
    throw invalid(where, `${at}: ${takes}data_offsets [${start}, ${end}] hold ${end - start}`);
  }
  const dtype = isFloat8(storedAs) ? 'float32' : DTYPE_OF.get(storedAs);
  return { storedAs, dtype, dims, start: headerSize + start, end: headerSize + end };
}

const RULES = {
  dtype: 'dtype must be a string',
  shape: 'shape must be a list of integers from 0 to 2^53 - 1',
  data_offsets: 'data_offsets must be two integers from 0 to 2^53 - 1',
};

interface Fields {
  dtype?: string;
  shape?: number[];
  data_offsets?: number[];
}

/** Reads the fields of a tensor; passes over fields that the format does not have. */
function readFields(json: JsonReader, at: string, { where, limits }: Context): Fields {
  const fields: Fields = {};
  const sizes = (key: 'shape' | 'data_offsets', most: number): number[] => {
    const list = readSizes(json, most);
    if (list) return list;
    throw invalid(where, `${at}: ${RULES[key]}`);
  };
  for (const key of json.members()) {
    if (Object.hasOwn(fields, key)) throw twice(where, key);
    if (key === 'dtype') {
      if (json.peek() !== '"') throw invalid(where, `${at}: ${RULES.dtype}`);
      fields.dtype = json.string();
    } else if (key === 'shape') {
      fields.shape = sizes('shape', limits.modelRank);
      if (fields.shape.length > limits.modelRank)
        throw tooLarge(where, `${at} has more than ${limits.modelRank} dimensions`, 'modelRank');
    } else if (key === 'data_offsets') {
      fields.data_offsets = sizes('data_offsets', 2);
      if (fields.data_offsets.length !== 2) throw invalid(where, `${at}: ${RULES.data_offsets}`);
    } else {
      json.skip();
    }
  }
  return fields;
}

/** Reads a list of sizes, and at most one more than `most`; returns `undefined` if the value is not such a list. */
function readSizes(json: JsonReader, most: number): number[] | undefined {
  if (json.peek() !== '[') return undefined;
  const sizes: number[] = [];
  for (const index of json.elements()) {
    const size = json.size();
    if (size === undefined) return undefined;
    sizes.push(size);
    if (index === most) break;
  }
  return sizes;
}

/** Returns the bytes of one element in the file, or `undefined` for a dtype that this library does not read. */
function bytesPerStored(dtypeName: string): number | undefined {
  if (isFloat8(dtypeName)) return 1;
  const dtype = DTYPE_OF.get(dtypeName);
  return dtype && bytesPerElement(dtype);
}

/** Returns the tensors in the order of their bytes; an empty tensor comes before the tensor that begins where it is. */
function sorted(tensors: ReadonlyMap<string, SafetensorsEntry>): ReadonlyMap<string, SafetensorsEntry> {
  const compare = (a: SafetensorsEntry, b: SafetensorsEntry) => a.start - b.start || a.end - b.end;
  let last: SafetensorsEntry | undefined;
  for (const entry of tensors.values()) {
    if (last && compare(last, entry) > 0) return new Map([...tensors].sort(([, a], [, b]) => compare(a, b)));
    last = entry;
  }
  return tensors;
}

/** Requires that every byte after the header belongs to one tensor, so that tensors take no more memory than the file. */
function checkTiling(
  tensors: ReadonlyMap<string, SafetensorsEntry>,
  headerSize: number,
  totalSize: number,
  where: string,
): void {
  let end = headerSize;
  for (const [name, entry] of tensors) {
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

/** Whether text can be written as UTF-8: half of a surrogate pair cannot. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);
