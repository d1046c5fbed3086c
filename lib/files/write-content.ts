/** The content of a file in few and large calls; Node's own `writeFile` makes calls of half a megabyte. */
import type { FileHandle } from 'node:fs/promises';

/** What a file is to hold: text (as UTF-8), bytes, or the bytes in chunks. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Bytes of one call: far below what systems refuse, and enough that calls cost nothing. */
const BATCH = 2 ** 24;

/** Arrays of one call: IOV_MAX of Linux and macOS. */
const MOST_ARRAYS = 1024;

/** Writes `content` where the handle stands, and flushes it. The system's errors, and the content's own, are passed on. */
export async function writeContent(handle: FileHandle, content: FileContent): Promise<void> {
  const disk = new Flusher(handle);
  try {
    let isMore = false;
    for await (const batch of batchesOf(content)) {
      if (isMore) disk.start();
      await writeAll(handle, batch);
      isMore = true;
    }
  } finally {
    await disk.failure();
  }
  const failure = await disk.failure();
  if (failure) throw failure;
  await handle.sync();
}

/** Content in lists of up to a batch. */
async function* batchesOf(content: FileContent): AsyncGenerator<Uint8Array[]> {
  const whole = typeof content === 'string' ? Buffer.from(content) : content;
  let batch: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of whole instanceof Uint8Array ? [whole] : whole) {
    for (let at = 0; at < chunk.byteLength; at += BATCH) {
      const piece = chunk.subarray(at, at + BATCH);
      if (size + piece.byteLength > BATCH || batch.length === MOST_ARRAYS) {
        yield batch;
        [batch, size] = [[], 0];
      }
      batch.push(piece);
      size += piece.byteLength;
    }
  }
  if (batch.length > 0) yield batch;
}

/** A call may write less than it is given, for example where the disk is nearly full; the next one says why. */
async function writeAll(handle: FileHandle, batch: readonly Uint8Array[]): Promise<void> {
  for (let rest = batch; rest.length > 0;) {
    const { bytesWritten } = await handle.writev(rest);
    rest = after(rest, bytesWritten);
  }
}

function after(batch: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  const next = batch.findIndex(({ byteLength }) => {
    if (byteLength > left) return true;
    left -= byteLength;
    return false;
  });
  return next < 0 ? [] : [batch[next]!.subarray(left), ...batch.slice(next + 1)];
}

/** Lets the disk begin with what is written while the rest is copied: a last sync alone would wait for all of it. */
class Flusher {
  readonly #handle: FileHandle;
  #running: Promise<void> | undefined;
  /** Kept, because Linux tells of a failed write-back once, and the last sync would not hear of it. */
  #failure: Error | undefined;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  start(): void {
    this.#running ??= this.#handle.datasync().then(
      () => this.#end(undefined),
      (error: Error) => this.#end(error),
    );
  }

  #end(failure: Error | undefined): void {
    this.#failure ??= failure;
    this.#running = undefined;
  }

  /** Waits for what runs: the handle must not be closed before. @returns Why the disk refused, if it did. */
  async failure(): Promise<Error | undefined> {
    await this.#running;
    return this.#failure;
  }
}
