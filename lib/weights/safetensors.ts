/**
 * The safetensors format: a header length (u64, little-endian), a JSON header, the tensors' bytes.
 * Source: "Format" in the README of huggingface/safetensors; where that is silent, what its reader accepts.
 */
import { WeightsError } from '../errors.js';
import { checkedTensor, tensorBytes, tensorFromBytes, type TensorData } from '../tensor.js';
import {
  isWellFormed,
  MAX_HEADER,
  METADATA_KEY,
  NAME_OF,
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX,
} from './safetensors-header.js';

/** What a safetensors file holds. */
export interface Safetensors {
  /** Texts by name, which the format does not interpret. */
  readonly metadata: Readonly<Record<string, string>>;
  /** By name, in the order in which their bytes lie in the file. */
  readonly tensors: ReadonlyMap<string, TensorData>;
}

/** What to make a safetensors file of. */
export interface SafetensorsContent {
  /** Texts by name. Default: none. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Names and tensors, a Map for instance. */
  readonly tensors: Iterable<readonly [string, TensorData]>;
}

/**
 * The tensors and metadata of a safetensors file. The tensors' data are views of `bytes` where they can be.
 * @param where what messages call the data: the file's path.
 * @throws WeightsError as {@link parseSafetensorsHeader} does.
 */
export function decodeSafetensors(bytes: Uint8Array, where = 'the data'): Safetensors {
  const header = parseSafetensorsHeader(bytes, bytes?.byteLength, where);
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
export function encodeSafetensors(content: SafetensorsContent): Uint8Array[] {
  if (typeof content !== 'object' || content === null) {
    throw unencodable(`its content must be { tensors, metadata }, not ${String(content)}`);
  }
  const { metadata, tensors } = content;
  const chunks: Uint8Array[] = [];
  const members = new Map<string, string>();
  const keys = Object.keys(metadata ?? {}).sort();
  if (keys.length > 0) members.set(METADATA_KEY, encodeMetadata(metadata!, keys));
  let offset = 0;
  if (typeof tensors?.[Symbol.iterator] !== 'function' || typeof tensors === 'string') {
    throw unencodable('tensors must be a Map, or a list of [name, tensor]');
  }
  for (const [name, value] of tensors) {
    checkName(name);
    if (members.has(name)) throw unencodable(`tensor '${name}' is given twice`);
    const { dtype, dims, data } = checkedTensor(value);
    const bytes = tensorBytes({ dtype, dims, data });
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

const unencodable = (what: string): WeightsError =>
  new WeightsError('SAFETENSORS_INVALID', `cannot make a safetensors file: ${what}`);

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
