/** Blobs, and so the Files that a page is given, as files of which parts are read. */
import { checkRange, unreadable, type RangedFile } from './ranged.js';

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
