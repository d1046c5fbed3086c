/** Reads parts of files: the interface, and its implementation for Blobs, browsers' Files among them. */
import { FileError } from '../errors.js';

/** A file that is open for reading parts of it. */
export interface RangedFile {
  readonly path: string;
  /** Its size in bytes when it was opened. */
  readonly size: number;
  /**
   * Reads `length` bytes from byte `offset` on into new memory.
   * @throws FileError `FILE_UNREADABLE` if the file is shorter, has shrunk, or is closed.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Reads bytes from byte `offset` on into the memory of the caller, as many as it has.
   * @throws FileError `FILE_UNREADABLE`, as `read` does.
   */
  readInto(offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * Copies the whole file to a path that has no file, with the permissions of this file: as a clone, which takes no time
   * and no room, where the file system makes clones. A copy cannot be stopped. Files in browsers lack it.
   * @throws FileError `FILE_UNREADABLE` if another program has changed the file since it was opened; the system's error
   *   if the copy cannot be written.
   */
  copyTo?(path: string): Promise<void>;
  /** Waits for the reads under way, then closes the file. Closing it twice is allowed. */
  close(): Promise<void>;
}

/** @throws FileError `FILE_UNREADABLE` if a file of `size` bytes does not have that range. */
export function checkRange(path: string, offset: number, length: number, size: number): void {
  const valid = Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0;
  if (valid && offset + length <= size) return;
  throw unreadable(
    path,
    `${length} bytes from byte ${offset} on were asked for, but the file has ${size} bytes`,
  );
}

/** Makes the error that says which file cannot be read, and why. */
export const unreadable = (path: string, reason: string, options?: ErrorOptions): FileError =>
  new FileError('FILE_UNREADABLE', `cannot read '${path}': ${reason}`, options);

/** The part of a Blob that this library uses: the Blobs of browsers and of Node both fit. */
export interface BlobLike {
  /** Its size in bytes. */
  readonly size: number;
  /** Returns the bytes from `start` up to, but not including, `end`. */
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/**
 * Makes a Blob a {@link RangedFile}.
 * @param path What messages call the Blob.
 */
export function rangedBlob(blob: BlobLike, path: string): RangedFile {
  let closed = false;
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    if (closed) throw unreadable(path, 'it has been closed; open it again');
    checkRange(path, offset, length, blob.size);
    try {
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw unreadable(path, reason, { cause });
    }
  };
  return {
    path,
    size: blob.size,
    read,
    readInto: async (offset, bytes) => bytes.set(await read(offset, bytes.byteLength)),
    close() {
      closed = true;
      return Promise.resolve();
    },
  };
}
