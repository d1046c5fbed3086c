/**
 * Reads the arrays of NumPy's `.npz` archives: zip files of `.npy` files, stored (`numpy.savez`) or deflated
 * (`numpy.savez_compressed`). An array is decompressed when it is read, and takes no more memory than its header says, within a
 * limit.
 * Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.4.
 */
import { constants, crc32, inflateRawSync } from 'node:zlib';
import { isRangeError } from '../arrays.js';
import { FileError } from '../errors.js';
import { Budget, type Limits, overLimit, requireLimits } from '../limits.js';
import { suggestion } from '../nearest.js';
import { listNames } from '../quantities.js';
import type { TensorData } from '../tensor.js';
import { decodeNpy, npyMemory, readNpyHeader } from './npy.js';
import { KINDS, sniff } from './sniff.js';

/** The arrays of a `.npz` archive. */
export interface NpzArchive {
  /** The names of the arrays, in the order of the archive. */
  readonly names: readonly string[];
  /**
   * Reads one array.
   * @throws FileError `NPZ_INVALID` if there is no such array or it is damaged; `NPY_INVALID` if it is of a dtype that
   *   this library does not hold.
   */
  readonly read: (name: string) => TensorData;
}

/** What the directory of the archive says about one file. */
interface Entry {
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  /** Where its local header begins, in bytes from the start of the archive. */
  readonly offset: number;
}

const DIRECTORY_END = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_HEADER = 0x04034b50;
const [DIRECTORY_END_SIZE, DIRECTORY_ENTRY_SIZE, LOCAL_HEADER_SIZE] = [22, 46, 30];
const MAX_COMMENT = 0xffff;
/** In a field of 32 bits: the number takes 64 bits and lies elsewhere. */
const ZIP64 = 0xffffffff;
const ENCRYPTED = 1;
const [STORED, DEFLATED] = [0, 8];

/** The compressed bytes that hold the longest header that is allowed; they decompress to at most 16 MB. */
const COMPRESSED_HEADER_ROOM = 2 ** 14;

const invalid = (where: string, what: string, cause?: unknown): FileError =>
  new FileError('NPZ_INVALID', `${where} is not a valid .npz archive: ${what}`, { cause });

const invalidArray = (where: string, what: string, cause?: unknown): FileError =>
  new FileError('NPZ_INVALID', `${where} cannot be read: ${what}`, { cause });

/**
 * Opens a `.npz` archive in memory.
 * @param where What messages call the archive: its path.
 * @throws FileError `NPZ_INVALID` if the bytes are not a zip archive of at most 4 GiB, or it has no arrays; `LIMIT_EXCEEDED` when
 *   an array is read.
 */
export function openNpz(
  bytes: Uint8Array,
  where: string,
  { limits }: { readonly limits?: Partial<Limits> | undefined } = {},
): NpzArchive {
  const budget = new Budget(requireLimits('npz', limits), bytes.byteLength);
  const entries = readDirectory(bytes, where);
  const names = [...entries.keys()];
  return {
    names,
    read(name) {
      const entry = entries.get(name);
      const array = `'${name}' in ${where}`;
      if (entry) return decodeNpy(readEntry(bytes, entry, array, budget), array);
      throw new FileError(
        'NPZ_INVALID',
        `${where} has no array '${name}'${suggestion(name, names)}; it has ${listNames(names)}`,
      );
    },
  };
}

function readDirectory(bytes: Uint8Array, where: string): Map<string, Entry> {
  const view = viewOf(bytes);
  const end = requireDirectoryEnd(view, bytes, where);
  const count = view.getUint16(end + 10, true);
  const entries = new Map<string, Entry>();
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    if (at + DIRECTORY_ENTRY_SIZE > end || view.getUint32(at, true) !== DIRECTORY_ENTRY) {
      throw invalid(where, `its directory is damaged at byte ${at}`);
    }
    const nameEnd = at + DIRECTORY_ENTRY_SIZE + view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(bytes.subarray(at + DIRECTORY_ENTRY_SIZE, nameEnd));
    if (name.endsWith('.npy')) {
      entries.set(name.slice(0, -'.npy'.length), {
        flags: view.getUint16(at + 8, true),
        method: view.getUint16(at + 10, true),
        crc: view.getUint32(at + 16, true),
        compressedSize: view.getUint32(at + 20, true),
        size: view.getUint32(at + 24, true),
        offset: view.getUint32(at + 42, true),
      });
    }
    at = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  if (entries.size > 0) return entries;
  throw invalid(where, sniff(bytes) === 'torch' ? `it is ${KINDS.torch}` : 'it has no .npy files');
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The most bytes from the record at the end of an archive on. */
export const NPZ_END = DIRECTORY_END_SIZE + MAX_COMMENT;

/**
 * Returns where the record at the end of the archive begins, `-1` if there is no such record. Only a comment may be behind it.
 * @param bytes The last {@link NPZ_END} bytes of the archive, or all.
 */
export function findNpzEnd(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  const last = bytes.byteLength - DIRECTORY_END_SIZE;
  for (let at = last; at >= 0 && at >= last - MAX_COMMENT; at--) {
    if (view.getUint32(at, true) === DIRECTORY_END) return at;
  }
  return -1;
}

function requireDirectoryEnd(view: DataView, bytes: Uint8Array, where: string): number {
  const end = findNpzEnd(bytes);
  if (end >= 0 && view.getUint32(end + 16, true) !== ZIP64) return end;
  if (end >= 0) throw invalid(where, 'it is larger than 4 GiB; save its arrays as .npy files');
  const kind = sniff(bytes);
  const isOther = kind !== undefined && kind !== 'npz' && kind !== 'zip' && kind !== 'torch';
  throw invalid(where, isOther ? `it is ${KINDS[kind]}` : 'it has no directory at its end: it is truncated');
}

/** Returns the bytes of a file in the archive. */
function readEntry(archive: Uint8Array, entry: Entry, where: string, budget: Budget): Uint8Array {
  const { size, crc } = entry;
  const packed = packedBytes(archive, entry, where);
  // The header must claim as many bytes as the directory, before that many are allocated.
  const header = readNpyHeader(beginning(packed, entry, where), where);
  const { dataStart, size: dataSize } = header;
  if (dataStart + dataSize !== size) {
    throw invalidArray(
      where,
      `its header claims ${dataStart + dataSize} bytes, but the archive says ${size}`,
    );
  }
  const [memory, allowed] = [npyMemory(header), budget.allowed('arrayBytes')];
  if (entry.method !== STORED && memory > allowed) {
    const claim = `${where} takes ${memory} bytes of memory; allowed for an archive of this size: ${allowed}`;
    throw new FileError('LIMIT_EXCEEDED', ...overLimit(claim, 'arrayBytes'));
  }
  const bytes = entry.method === STORED ? packed : inflate(packed, size, where);
  if (bytes.byteLength !== size) throw invalidArray(where, `it has ${bytes.byteLength} bytes, not ${size}`);
  if (crc32(bytes) !== crc) throw invalidArray(where, 'its checksum is wrong: the archive is damaged');
  return bytes;
}

function packedBytes(archive: Uint8Array, entry: Entry, where: string): Uint8Array {
  const { flags, method, compressedSize, size, offset } = entry;
  if (flags & ENCRYPTED) throw invalidArray(where, 'it is encrypted');
  if (method !== STORED && method !== DEFLATED) {
    throw invalidArray(
      where,
      `its compression method is ${method}; numpy.savez_compressed writes ${DEFLATED}`,
    );
  }
  if ([compressedSize, size, offset].includes(ZIP64)) {
    throw invalidArray(where, 'it is larger than 4 GiB; save the array as a .npy file');
  }
  const view = viewOf(archive);
  const inside = offset + LOCAL_HEADER_SIZE <= archive.byteLength;
  if (!inside || view.getUint32(offset, true) !== LOCAL_HEADER) {
    throw invalidArray(where, `it does not begin at byte ${offset}, where the directory has it`);
  }
  // The extra field of a local header often has another length than that of the directory.
  const start =
    offset + LOCAL_HEADER_SIZE + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  if (start + compressedSize > archive.byteLength) throw invalidArray(where, 'it is truncated');
  return archive.subarray(start, start + compressedSize);
}

/** Returns at least the header of the `.npy` file. */
function beginning(packed: Uint8Array, { method }: Entry, where: string): Uint8Array {
  if (method === STORED) return packed;
  try {
    // Without this flush, the end of the input would be an error.
    return inflateRawSync(packed.subarray(0, COMPRESSED_HEADER_ROOM), {
      finishFlush: constants.Z_SYNC_FLUSH,
    });
  } catch (cause) {
    throw invalidArray(where, 'it is damaged', cause);
  }
}

function inflate(packed: Uint8Array, size: number, where: string): Uint8Array {
  try {
    // In one chunk, which needs no copy; a byte more, so that a full chunk is not followed by another.
    return inflateRawSync(packed, { maxOutputLength: Math.max(size, 1), chunkSize: Math.max(size + 1, 64) });
  } catch (cause) {
    const isLonger = isRangeError(cause);
    throw invalidArray(
      where,
      isLonger ? `it has more than ${size} bytes, or too many for memory` : 'it is damaged',
      cause,
    );
  }
}
