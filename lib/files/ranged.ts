/** Files of which parts are read, wherever they lie. */
import { FileError } from '../errors.js';

/** A file that is open for reading parts of it. */
export interface RangedFile {
  readonly path: string;
  /** In bytes, when the file was opened. */
  readonly size: number;
  /**
   * The `length` bytes from byte `offset` on, in memory of their own.
   * @throws FileError `FILE_UNREADABLE` if the file does not hold them, has shrunk, or is closed.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Waits for the reads under way, then closes the file. Closing twice is no error. */
  close(): Promise<void>;
}

/** @throws FileError `FILE_UNREADABLE` if a file of `size` bytes does not hold that range. */
export function checkRange(path: string, offset: number, length: number, size: number): void {
  const valid = Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0;
  if (valid && offset + length <= size) return;
  throw unreadable(path, `it holds ${size} bytes, not ${length} bytes from byte ${offset} on`);
}

/** An error that says which file, and why it cannot be read. */
export const unreadable = (path: string, reason: string, options?: ErrorOptions): FileError =>
  new FileError('FILE_UNREADABLE', `cannot read '${path}': ${reason}`, options);

// SECTION: Blobs, and so the Files that a page is given, as files of which parts are read.

/** What of a Blob is needed, so that browsers' and Node's own both fit. */
export interface BlobLike {
  /** In bytes. */
  readonly size: number;
  /** The part from one byte to before another. */
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** @param path What messages call it. */
export function rangedBlob(blob: BlobLike, path: string): RangedFile {
  let closed = false;
  return {
    path,
    size: blob.size,
    async read(offset, length) {
      if (closed) throw unreadable(path, 'it has been closed; open it again');
      checkRange(path, offset, length, blob.size);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw unreadable(path, reason, { cause });
      }
    },
    close() {
      closed = true;
      return Promise.resolve();
    },
  };
}
