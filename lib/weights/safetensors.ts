/**
 * The safetensors format: a header length (u64, little-endian), a JSON header, the tensors' bytes.
 * Source: "Format" in the README of huggingface/safetensors; where that is silent, what its reader accepts.
 */
import { WeightsError } from '../errors.js';
import {
  bytesPerElement,
  elementCount,
  formatShape,
  tensor,
  tensorBytes,
  tensorFromBytes,
  type DType,
  type TensorData,
} from '../tensor.js';
import { duplicateKey } from './duplicate-key.js';

/** One tensor of a safetensors file. */
export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** Its first byte, counted from the start of the file. */
  readonly start: number;
  /** The byte after its last, counted from the start of the file. */
  readonly end: number;
}

/** What a safetensors file says before its tensors' bytes. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order in which their bytes lie in the file. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** Bytes before the first tensor. */
  readonly headerSize: number;
}

/** What a safetensors file holds. */
export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorData>;
}

/** What to make a safetensors file of. */
export interface SafetensorsContent {
  readonly metadata?: Readonly<Record<string, string>>;
  /** Names and tensors, a Map for instance. */
  readonly tensors: Iterable<readonly [string, TensorData]>;
}

/** Bytes of the header's length, before the header itself. */
export const SAFETENSORS_PREFIX = 8;

/** The reference implementation reads no longer header: parsing one would cost too much. */
const MAX_HEADER = 100_000_000;

/** What `torch.save` writes begins with: a zip archive, or before PyTorch 1.6 a pickle of protocol 2 or later. */
export const isTorchSave = ([a, b, c, d]: Uint8Array): boolean =>
  (a === 0x50 && b === 0x4b && c === 3 && d === 4) || (a === 0x80 && b! >= 2 && b! <= 5);

const TORCH_SAVE =
  'it is a torch.save file; to make one, in Python: ' +
  "safetensors.torch.save_file(model.state_dict(), 'state_dict.safetensors')";

const METADATA_KEY = '__metadata__';

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
const NAME_OF = new Map([...DTYPE_OF].map(([name, dtype]) => [dtype, name]));

/**
 * Bytes before the first tensor: how much of the file {@link parseSafetensorsHeader} needs.
 * @param prefix the first 8 bytes of the file, or more.
 * @param totalSize of the file, in bytes.
 * @param where what messages call the data: the file's path.
 * @throws WeightsError `SAFETENSORS_INVALID` if the header would be longer than the file or than 100 MB.
 */
export function safetensorsHeaderSize(prefix: Uint8Array, totalSize: number, where = 'the data'): number {
  if (prefix.byteLength < SAFETENSORS_PREFIX) {
    throw invalid(where, `it has ${prefix.byteLength} bytes, too few for the length of a header`);
  }
  const claimed = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  const there = totalSize - SAFETENSORS_PREFIX;
  if (claimed > there) {
    if (isTorchSave(prefix)) throw invalid(where, TORCH_SAVE);
    const problem = `its header claims ${claimed} bytes, but only ${there} follow`;
    throw invalid(where, `${problem}: it is truncated, or something else`);
  }
  if (claimed > MAX_HEADER) {
    throw invalid(where, `its header claims ${claimed} bytes; allowed: at most ${MAX_HEADER}`);
  }
  return SAFETENSORS_PREFIX + Number(claimed);
}

/**
 * Parses and checks everything before the tensors' bytes.
 * @param bytes the file from its start, at least {@link safetensorsHeaderSize} of it.
 * @param totalSize of the file, in bytes.
 * @param where what messages call the data: the file's path.
 * @throws WeightsError `SAFETENSORS_INVALID` if the header breaks the format: a key twice, a shape that does not
 * fit its bytes, bytes that belong to two tensors or to none; `UNSUPPORTED_DTYPE` for an 8-bit float and the like.
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

/**
 * The tensors and metadata of a safetensors file. The tensors' data are views of `bytes` where they can be.
 * @param where what messages call the data: the file's path.
 * @throws WeightsError as {@link parseSafetensorsHeader} does.
 */
export function decodeSafetensors(bytes: Uint8Array, where = 'the data'): Safetensors {
  const header = parseSafetensorsHeader(bytes, bytes.byteLength, where);
  const tensors = new Map<string, TensorData>();
  for (const [name, { dtype, dims, start, end }] of header.tensors) {
    tensors.set(name, tensorFromBytes(dtype, dims, bytes.subarray(start, end)));
  }
  return { metadata: header.metadata, tensors };
}

/**
 * A safetensors file in chunks: the header, then each tensor's bytes, which are not copied. The same content gives
 * the same bytes: tensors in the given order, metadata sorted by key, the header padded to a multiple of 8.
 * @throws WeightsError `SAFETENSORS_INVALID` if a name is given twice, reserved, or not Unicode, or metadata is not
 * text.
 * @throws TensorError `TENSOR_INVALID` if a tensor contradicts itself.
 */
export function encodeSafetensors({ metadata = {}, tensors }: SafetensorsContent): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  const members = new Map<string, string>();
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) members.set(METADATA_KEY, encodeMetadata(metadata, keys));
  let offset = 0;
  for (const [name, { dtype, dims, data }] of tensors) {
    checkName(name);
    if (members.has(name)) throw unencodable(`tensor '${name}' is given twice`);
    const bytes = tensorBytes(tensor(dtype, dims, data));
    const info = {
      dtype: NAME_OF.get(dtype),
      shape: dims,
      data_offsets: [offset, offset + bytes.byteLength],
    };
    members.set(name, JSON.stringify(info));
    chunks.push(bytes);
    offset += bytes.byteLength;
  }
  return [encodeHeader(members), ...chunks];
}

const invalid = (where: string, what: string, options?: ErrorOptions): WeightsError =>
  new WeightsError('SAFETENSORS_INVALID', `${where} is not a valid safetensors file: ${what}`, options);

const unencodable = (what: string): WeightsError =>
  new WeightsError('SAFETENSORS_INVALID', `cannot make a safetensors file: ${what}`);

function parseJson(bytes: Uint8Array, where: string): Record<string, unknown> {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
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
  // Without a prototype, so that a key that is absent is absent: `metadata.constructor`.
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
  const dtype = DTYPE_OF.get(dtypeName);
  if (!dtype) {
    const allowed = [...DTYPE_OF.keys()].join(', ');
    const what = `tensor '${name}' has the unsupported dtype ${dtypeName}; allowed: ${allowed}`;
    throw new WeightsError('UNSUPPORTED_DTYPE', `${where}: ${what}`);
  }
  const [start, end] = offsets as [number, number];
  const size = elementCount(dims) * bytesPerElement(dtype);
  if (end - start !== size) {
    const takes = `shape ${formatShape(dims)} of ${dtypeName} takes ${size} bytes`;
    throw invalid(where, `${at}: ${takes}, but data_offsets [${start}, ${end}] hold ${end - start}`);
  }
  return { dtype, dims, start: headerSize + start, end: headerSize + end };
}

/** Every byte after the header belongs to one tensor: so no file makes a reader take more memory than its size. */
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

function encodeMetadata(metadata: Readonly<Record<string, string>>, keys: readonly string[]): string {
  const members = keys.map((key) => {
    const text: unknown = metadata[key];
    if (typeof text !== 'string') throw unencodable(`metadata '${key}' must be a string`);
    if (![key, text].every(isWellFormed)) throw unencodable(`metadata '${key}' is not Unicode text`);
    return `${JSON.stringify(key)}:${JSON.stringify(text)}`;
  });
  return `{${members.join(',')}}`;
}

/** @param members the header's values as JSON; written by hand, for an object would put keys like '0' first. */
function encodeHeader(members: ReadonlyMap<string, string>): Uint8Array {
  const json = [...members].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',');
  const text = new TextEncoder().encode(`{${json}}`);
  const length = Math.ceil(text.byteLength / 8) * 8;
  if (length > MAX_HEADER) {
    throw unencodable(`its header would take ${length} bytes; allowed: at most ${MAX_HEADER}`);
  }
  const bytes = new Uint8Array(SAFETENSORS_PREFIX + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, SAFETENSORS_PREFIX);
  return bytes;
}

function checkName(name: string): void {
  if (name === METADATA_KEY) throw unencodable(`a tensor cannot be named '${METADATA_KEY}'; rename it`);
  if (!isWellFormed(name)) throw unencodable(`the name '${name}' is not Unicode text`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const areSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);

/** Whether text survives UTF-8: half of a surrogate pair does not. */
const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);
