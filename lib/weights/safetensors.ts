/**
 * Reads and writes safetensors files: whole in memory, or one tensor at a time ({@link SafetensorsFile}). The format is
 * a header length (u64, little-endian), a JSON header, and the tensors' bytes.
 * Source: "Format" in the README of huggingface/safetensors; where that is silent, what its reader accepts.
 */
import { endsBy } from '../disposal.js';
import { WeightsError } from '../errors.js';
import type { RangedFile } from '../files/ranged.js';
import { nearestName } from '../nearest.js';
import {
  checkedTensor,
  elementCount,
  type StoredBytes,
  type StoredFile,
  tensorBytes,
  type TensorData,
  tensorFromBytes,
} from '../tensor.js';
import { float8ToFloat32, isFloat8 } from './float8.js';
import {
  isWellFormed,
  MAX_HEADER,
  METADATA_KEY,
  NAME_OF,
  parseSafetensorsHeader,
  READABLE,
  SAFETENSORS_PREFIX,
  type SafetensorsEntry,
  type SafetensorsHeader,
  safetensorsHeaderSize,
  type SafetensorsOptions,
} from './safetensors-header.js';

/** The content of a safetensors file, as it is read. */
export interface Safetensors {
  /** Texts by name; the format gives them no meaning. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensors by name, in the order of their bytes in the file. */
  readonly tensors: ReadonlyMap<string, TensorData>;
}

/** The content of a safetensors file to be written. */
export interface SafetensorsContent {
  /** Texts by name. Default: none. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Names and tensors, for example a Map. */
  readonly tensors: Iterable<readonly [string, TensorData]>;
}

/**
 * Reads the tensors and metadata of a safetensors file. Tensors that are aligned in `bytes` are views of it;
 * 8-bit floats become float32.
 * Source: "Format" in the README of huggingface/safetensors.
 * @param where What messages call the data: the file's path.
 * @throws WeightsError `SAFETENSORS_INVALID` if the file breaks the format; `UNSUPPORTED_DTYPE` if a tensor is complex
 *   or of 4 or 6 bits (openSafetensors reads the others of such a file); `LIMIT_EXCEEDED`.
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  where = 'the data',
  options: SafetensorsOptions = {},
): Safetensors {
  const header = parseSafetensorsHeader(bytes, bytes?.byteLength, where, options);
  const tensors = new Map<string, TensorData>();
  for (const [name, entry] of header.tensors) {
    tensors.set(name, toTensor(where, name, entry, bytes.subarray(entry.start, entry.end)));
  }
  return { metadata: header.metadata, tensors };
}

/** Makes a tensor of its bytes in the file. */
function toTensor(
  where: string,
  name: string,
  { storedAs, dtype, dims }: SafetensorsEntry,
  bytes: Uint8Array,
): TensorData {
  requireReadable(where, name, { storedAs, dtype });
  return isFloat8(storedAs) ? float8ToFloat32(storedAs, dims, bytes) : tensorFromBytes(dtype!, dims, bytes);
}

/** Requires a dtype that this library holds. */
function requireReadable(
  where: string,
  name: string,
  { storedAs, dtype }: Pick<SafetensorsEntry, 'storedAs' | 'dtype'>,
): void {
  if (dtype !== undefined) return;
  throw new WeightsError(
    'UNSUPPORTED_DTYPE',
    `${where}: tensor '${name}' has the unsupported dtype ${storedAs}; allowed: ${READABLE.join(', ')}. ` +
      'The other tensors can be read by their names, or by the prefix of a part of the network',
    { option: 'prefix' },
  );
}

/**
 * Returns a safetensors file in chunks: the header, then each tensor's bytes, which are not copied. The same content
 * gives the same bytes: tensors in the given order, metadata sorted by key, the header padded to a multiple of 8.
 * @throws WeightsError `SAFETENSORS_INVALID` if a name is given twice, reserved, or not Unicode, or metadata is not
 *   text.
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
    const bytes = tensorBytes({ data });
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

/** @param members The header's values as JSON; joined by hand, because an object would put keys like '0' first. */
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

/** Enough bytes for the header's length, and to recognize a file of another kind. */
const FIRST_BYTES = 256;

/** libuv has four threads for files. */
const READS_AT_ONCE = 4;

/** Tensors side by side are read at once up to this size, because a read takes longer than a small tensor. */
const BATCH = 2 ** 16;

/** The bytes of a piece of a tensor: whole elements of every dtype. */
const PIECE = 2 ** 23;

const UNREAD: TensorData = { dtype: 'uint8', dims: [0], data: new Uint8Array(0) };

const canBeCopied = (file: RangedFile): file is RangedFile & StoredFile => file.copyTo !== undefined;

/** Tensors that lie side by side in the file. */
interface Batch {
  readonly names: string[];
  readonly start: number;
  end: number;
}

/** Yields the tensors in the order of their bytes, in groups that are read at once. Sorts `names`. */
function* batchesOf(names: string[], { tensors }: SafetensorsHeader): Generator<Batch, void> {
  let batch: Batch | undefined;
  for (const name of names.sort((a, b) => tensors.get(a)!.start - tensors.get(b)!.start)) {
    const { start, end } = tensors.get(name)!;
    if (batch?.end === start && end - batch.start <= BATCH) {
      batch.names.push(name);
      batch.end = end;
    } else {
      if (batch) yield batch;
      batch = { names: [name], start, end };
    }
  }
  if (batch) yield batch;
}

/** An open safetensors file, which `openSafetensors` returns: its header is in memory, its tensors are read on demand. */
export class SafetensorsFile {
  readonly #file: RangedFile;
  readonly #header: SafetensorsHeader;

  /** @internal */
  constructor(file: RangedFile, header: SafetensorsHeader) {
    this.#file = file;
    this.#header = header;
  }

  /**
   * Reads and checks the header of an open file, and closes the file if the header is wrong.
   * @throws FileError `FILE_UNREADABLE`, WeightsError `SAFETENSORS_INVALID` or `LIMIT_EXCEEDED`.
   * @internal
   */
  static async of(file: RangedFile, options: SafetensorsOptions = {}): Promise<SafetensorsFile> {
    const { path, size } = file;
    try {
      const prefix = await file.read(0, Math.min(FIRST_BYTES, size));
      const headerSize = safetensorsHeaderSize(prefix, size, path);
      const header = parseSafetensorsHeader(await file.read(0, headerSize), size, path, options);
      return new SafetensorsFile(file, header);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The path, or the name of the File, with which it was opened. */
  get path(): string {
    return this.#file.path;
  }

  /** Texts by name; the format gives them no meaning. */
  get metadata(): Readonly<Record<string, string>> {
    return this.#header.metadata;
  }

  /** Returns the names of the tensors, in the order of their bytes in the file. */
  keys(): string[] {
    return [...this.#header.tensors.keys()];
  }

  /** Returns whether the file has a tensor named `name`. */
  has(name: string): boolean {
    return this.#header.tensors.has(name);
  }

  /**
   * Returns a tensor's dtype, dims and place in the file, without reading the tensor.
   * @throws WeightsError `TENSOR_NOT_FOUND`, with a suggestion if a name is close.
   */
  info(name: string): SafetensorsEntry {
    const entry = this.#header.tensors.get(name);
    if (entry) return entry;
    const names = this.keys();
    const nearest = nearestName(name, names);
    const hint = nearest === undefined ? `it has ${names.length} others` : `did you mean '${nearest}'?`;
    throw new WeightsError('TENSOR_NOT_FOUND', `${this.path} has no tensor '${name}'; ${hint}`);
  }

  /**
   * Reads one tensor. An 8-bit float becomes float32, which holds each of its values.
   * @throws WeightsError `TENSOR_NOT_FOUND`; `UNSUPPORTED_DTYPE` if the tensor is complex or of 4 or 6 bits.
   * @throws FileError `FILE_UNREADABLE`
   */
  async read(name: string): Promise<TensorData> {
    const entry = this.#readable(name);
    const bytes = await this.#file.read(entry.start, entry.end - entry.start);
    return toTensor(this.path, name, entry, bytes);
  }

  /**
   * Reads several tensors at once, by default every tensor of the file. Small tensors that lie side by side in the file
   * share memory.
   * @throws WeightsError `TENSOR_NOT_FOUND`, or `UNSUPPORTED_DTYPE` as {@link read}.
   * @throws FileError `FILE_UNREADABLE`
   */
  async readAll(names: readonly string[] = this.keys()): Promise<Map<string, TensorData>> {
    // Set in order, because batches are read in any order.
    const tensors = new Map<string, TensorData>();
    for (const name of names) {
      this.#readable(name);
      tensors.set(name, UNREAD);
    }
    const batches = batchesOf([...tensors.keys()], this.#header);
    const readBatches = async (): Promise<void> => {
      for (const { names, start, end } of batches) {
        const bytes = await this.#file.read(start, end - start);
        for (const name of names) {
          const entry = this.info(name);
          const own = bytes.subarray(entry.start - start, entry.end - start);
          tensors.set(name, toTensor(this.path, name, entry, own));
        }
      }
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, readBatches));
    return tensors;
  }

  /**
   * Reads one tensor in pieces, so that it need not fit in memory: vectors of its elements in C order, 8 MiB in the file.
   * @throws WeightsError `TENSOR_NOT_FOUND`, or `UNSUPPORTED_DTYPE` as {@link read}.
   * @throws FileError `FILE_UNREADABLE`
   */
  async *readPieces(name: string): AsyncGenerator<TensorData, void> {
    const entry = this.#readable(name);
    const width = (entry.end - entry.start) / elementCount(entry.dims);
    for (let { start } = entry; start < entry.end; start += PIECE) {
      const bytes = await this.#file.read(start, Math.min(PIECE, entry.end - start));
      yield toTensor(this.path, name, { ...entry, dims: [bytes.byteLength / width] }, bytes);
    }
  }

  /**
   * Returns the bytes of a tensor without reading them, to copy them into another file.
   * @throws WeightsError `TENSOR_NOT_FOUND`, or `UNSUPPORTED_DTYPE` as {@link read}.
   */
  stored(name: string): StoredBytes {
    const { start, end } = this.#readable(name);
    const file = this.#file;
    return {
      byteLength: end - start,
      readInto: (offset, bytes) => file.readInto(start + offset, bytes),
      within: canBeCopied(file) ? { file, offset: start } : undefined,
    };
  }

  #readable(name: string): SafetensorsEntry {
    const entry = this.info(name);
    requireReadable(this.path, name, entry);
    return entry;
  }

  /** Closes the file. Closing it twice is allowed; reading it afterwards is a FileError `FILE_UNREADABLE`. */
  close(): Promise<void> {
    return this.#file.close();
  }

  /** Closes it: for `await using`. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  static {
    endsBy(this.prototype, Symbol.asyncDispose, 'close');
  }
}
