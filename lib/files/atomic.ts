/**
 * Writes files whole or not at all: under a temporary name beside the target, flushed, then renamed.
 *
 * The library handles no signals. A command line that does asks `temporary.ts` when temporary files exist, and removes them
 * here ({@link removeTemporaryFiles}).
 */
import { linkSync, renameSync, rmdirSync, rmSync, type Stats } from 'node:fs';
import {
  access,
  chmod,
  constants,
  type FileHandle,
  mkdir,
  open,
  realpath,
  rm,
  stat,
  statfs,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isUint8Array } from '../arrays.js';
import { FileError, OnnxGroupNormError } from '../errors.js';
import { formatBytes } from '../quantities.js';
import type { StoredBytes, StoredFile } from '../tensor.js';
import { notAFolder, reasonOf, systemCode } from './system-error.js';
import { isTracked, removeLeftovers, removeTracked, temporaryName, track, untrack } from './temporary.js';

/** The content of a file: text (written as UTF-8), bytes, or bytes in chunks, in memory or not. */
export type FileContent =
  string | Uint8Array | Iterable<Uint8Array | StoredBytes> | AsyncIterable<Uint8Array | StoredBytes>;

/** One file of {@link writeFilesAtomic}. */
export interface FileToWrite {
  readonly path: string;
  readonly content: FileContent;
  /** A file that the new file begins with a copy of; the content follows. */
  readonly copyOf?: StoredFile | undefined;
  /** The size of the new file in bytes, if it is known before: a file for which the disk has no room is refused at once. */
  readonly byteLength?: number;
  /** The most permissions that a new file gets; the umask takes from them. Default `0o666`. */
  readonly mode?: number;
}

/** A file that is written, and not yet renamed. */
interface StagedFile {
  /** As the caller gave it, for messages. */
  readonly path: string;
  /** Where the file ends up: `path` with symbolic links followed, so that a link stays a link. */
  readonly target: string;
  readonly temporary: string;
}

/**
 * Writes one file, whole or not at all; {@link writeFilesAtomic} says how.
 * @throws FileError `FILE_UNWRITABLE`, with the system's error as `cause`.
 */
export const writeFileAtomic = (path: string, content: FileContent): Promise<void> =>
  writeFilesAtomic([{ path, content }]);

/**
 * Writes files that belong together. No file gets its name before all of them are on the disk, so that a failure on
 * the way leaves every old file as it was, and no temporary file and no new folder behind. Makes missing folders, keeps
 * the mode of files that exist, removes temporary files of processes that were killed, and passes on what `content`
 * itself throws.
 * @throws FileError `FILE_UNWRITABLE` if a path cannot be written, is listed twice, or is not a regular file, or if
 *   {@link removeTemporaryFiles} was called meanwhile.
 */
export async function writeFilesAtomic(files: readonly FileToWrite[]): Promise<void> {
  const staged: StagedFile[] = [];
  const made: string[] = [];
  try {
    for (const file of files) {
      const { path } = file;
      try {
        await stage(file, staged, made);
      } catch (error) {
        throw asUnwritable(path, error);
      }
    }
    renameAll(staged);
    for (const folder of made) newFolders.delete(folder);
  } finally {
    for (const { temporary } of staged) {
      await rm(temporary, { force: true }).catch(() => undefined);
      untrack(temporary);
    }
    removeNewFolders(made);
  }
}

async function stage(
  { path, content, copyOf, byteLength = 0, mode }: FileToWrite,
  staged: StagedFile[],
  made: string[],
): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder, made);
  const old = await ifThere(stat(path));
  await checkReplaceable(path, old);
  const target = old ? await realpath(path) : join(await realpath(folder), basename(path));
  if (staged.some((other) => other.target === target)) throw unwritable(path, 'it is to be written twice');
  if (!staged.some((other) => dirname(other.target) === dirname(target)))
    await removeLeftovers(dirname(target));
  if (byteLength > BATCH) await requireRoom(path, dirname(target), byteLength);
  const temporary = temporaryName(dirname(target));
  track(temporary);
  staged.push({ path, target, temporary });
  if (copyOf) await makeCopy(copyOf, path, temporary, mode);
  const handle = await open(temporary, copyOf ? 'a' : 'wx', mode);
  try {
    if (old) await handle.chmod(old.mode & 0o7777);
    await writeContent(handle, content);
  } finally {
    await handle.close();
  }
}

/** Copies a file, and gives the copy the permissions of a new file: the system gives it those of the other file. */
async function makeCopy(file: StoredFile, path: string, temporary: string, mode?: number): Promise<void> {
  const empty = await open(temporary, 'wx', mode);
  const permissions = (await empty.stat().finally(() => empty.close())).mode;
  await rm(temporary);
  await file.copyTo(temporary);
  requireTracked(path, temporary);
  await chmod(temporary, permissions);
}

/** Refuses a large file that the disk has no room for, beside the old file that it replaces. */
async function requireRoom(path: string, folder: string, byteLength: number): Promise<void> {
  const { blocks, bavail, bsize } = await statfs(folder);
  const room = bavail * bsize;
  // File systems that do not know their size say 0.
  if (blocks === 0 || byteLength <= room) return;
  const sizes = `it takes ${formatBytes(byteLength)}, and ${formatBytes(room)} are left on the disk`;
  throw unwritable(path, `${sizes}; free some or choose another disk`);
}

/**
 * Makes a folder and its missing parents, and adds them to `made`. Not with `recursive`, which in Node never ends below
 * `/proc`.
 */
async function makeFolder(folder: string, made: string[]): Promise<void> {
  const found = await ifThere(stat(folder));
  if (found?.isDirectory()) return;
  if (found) throw notAFolder(folder);
  const parent = dirname(folder);
  if (parent !== folder) await makeFolder(parent, made);
  try {
    await mkdir(folder);
    made.push(folder);
    newFolders.add(folder);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** A rename replaces whatever is there, even what writing would refuse: a read-only file, a device. */
async function checkReplaceable(path: string, old: Stats | undefined): Promise<void> {
  if (/[\\/]$/.test(path) || old?.isDirectory()) throw unwritable(path, 'it is a folder; name a file');
  if (!old) return;
  if (!old.isFile()) throw unwritable(path, 'it is not a regular file; choose another path');
  await access(path, constants.W_OK);
}

/**
 * Checks that a file which gets a second file beside it is not a symbolic link into another folder: whoever opens
 * one of the two paths would not find the second file.
 * @throws FileError `FILE_UNWRITABLE`
 */
export async function requireOneFolder(path: string): Promise<void> {
  // If a path cannot be resolved, the write that follows says why.
  const [target, folder] = await Promise.all(
    [path, dirname(path)].map((one) => realpath(one).catch(() => undefined)),
  );
  if (target === undefined || dirname(target) === folder) return;
  throw new FileError(
    'FILE_UNWRITABLE',
    `cannot write '${path}' with a file beside it: it is a symbolic link into another folder; name '${target}' itself`,
  );
}

const unwritable = (path: string, reason: string, options?: ErrorOptions): FileError =>
  new FileError('FILE_UNWRITABLE', `cannot write '${path}': ${reason}`, options);

/** Turns a system error into a FileError; any other error came from the content and belongs to the caller. */
const asUnwritable = (path: string, error: unknown): unknown =>
  error instanceof OnnxGroupNormError || systemCode(error) === undefined
    ? error
    : unwritable(path, systemCode(error) === 'ENOENT' ? NO_NEW_FILES : reasonOf(error), { cause: error });

/** The folder was found or made before. `/proc` and `/sys` refuse new files so. */
const NO_NEW_FILES = 'its folder does not take new files, or is gone; choose another path';

const ifThere = <T>(lookup: Promise<T>): Promise<T | undefined> =>
  lookup.catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw error;
    return undefined;
  });

/** What was at a path before a rename. */
interface Replaced {
  readonly target: string;
  /** A second name for the old file, if there was one and the file system has hard links. */
  readonly backup?: string;
  readonly wasThere: boolean;
}

/**
 * Renames every file, or none: if a rename fails, those before it are undone. Synchronous, so that no signal is
 * handled between the first rename and the last. (A power cut between two renames is the one thing left that could
 * part the files.)
 */
function renameAll(staged: readonly StagedFile[]): void {
  for (const { path, temporary } of staged) requireTracked(path, temporary);
  const replaced: Replaced[] = [];
  for (const { path, target, temporary } of staged) {
    try {
      if (replaced.length < staged.length - 1) replaced.push(keepOld(target));
      renameSync(temporary, target);
    } catch (error) {
      for (const one of replaced) putBack(one);
      throw asUnwritable(path, error);
    }
  }
  for (const { backup } of replaced) if (backup !== undefined) rmSync(backup, { force: true });
}

/** Requires that no signal has removed the temporary file. */
function requireTracked(path: string, temporary: string): void {
  if (!isTracked(temporary)) throw unwritable(path, 'a signal stopped the writing; write it again');
}

function keepOld(target: string): Replaced {
  const backup = temporaryName(dirname(target));
  try {
    linkSync(target, backup);
    return { target, backup, wasThere: true };
  } catch (error) {
    return { target, wasThere: systemCode(error) !== 'ENOENT' };
  }
}

function putBack({ target, backup, wasThere }: Replaced): void {
  if (backup !== undefined) {
    renameSync(backup, target);
    // A rename between two names of one file does nothing, so the backup may still be there.
    rmSync(backup, { force: true });
  } else if (!wasThere) rmSync(target, { force: true });
}

/** The folders that writes under way have made, parents first. */
const newFolders = new Set<string>();

/** Removes the temporary files of all writes under way, which then fail. Synchronous, for signal handlers. */
export function removeTemporaryFiles(): void {
  removeTracked();
  removeNewFolders([...newFolders]);
}

/** Removes those of the folders that are still new. A folder in which something lies stays. */
function removeNewFolders(folders: readonly string[]): void {
  for (const folder of folders.toReversed()) {
    if (!newFolders.delete(folder)) continue;
    try {
      rmdirSync(folder);
    } catch {
      // Another process may have written into it.
    }
  }
}

/** Bytes of one call: far below what systems refuse, and enough that calls cost nothing. */
const BATCH = 2 ** 24;

/** Arrays of one call: IOV_MAX of Linux and macOS. */
const MOST_ARRAYS = 1024;

/**
 * Writes `content` at the handle's position in few and large calls (Node's own `writeFile` makes calls of half a
 * megabyte), and flushes it. Passes on the system's errors and the content's own.
 */
export async function writeContent(handle: FileHandle, content: FileContent): Promise<void> {
  const disk = new Flusher(handle);
  try {
    const copier = new Copier(handle);
    let isMore = false;
    for await (const batch of batchesOf(content)) {
      if (isMore) disk.start();
      await (Array.isArray(batch) ? writeAll(handle, batch) : copier.copy(batch));
      isMore = true;
    }
  } finally {
    await disk.failure();
  }
  const failure = await disk.failure();
  if (failure) throw failure;
  await handle.sync();
}

/** Splits content into lists of arrays, each list at most one batch, and bytes that are not in memory. */
async function* batchesOf(content: FileContent): AsyncGenerator<Uint8Array[] | StoredBytes> {
  const whole = typeof content === 'string' ? Buffer.from(content) : content;
  let batch: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of isUint8Array(whole) ? [whole] : whole) {
    if ('readInto' in chunk) {
      if (batch.length > 0) yield batch;
      [batch, size] = [[], 0];
      yield chunk;
      continue;
    }
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

/** A call may write only a part, for example where the disk is nearly full; the next call then says why. */
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

/** Bytes that are read or written at once in a copy: the caches of a processor hold two such pieces. */
const PIECE = 2 ** 20;

/** Copies bytes that are not in memory to a file: reads a piece while the piece before is written. */
class Copier {
  readonly #handle: FileHandle;
  /** Used for all copies, because new memory costs more than the copy itself. */
  #memory: readonly [Uint8Array, Uint8Array] | undefined;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async copy({ byteLength, readInto }: StoredBytes): Promise<void> {
    let [next, free] = (this.#memory ??= [new Uint8Array(PIECE), new Uint8Array(PIECE)]);
    let writing: Promise<void> | undefined;
    for (let at = 0; at < byteLength; at += PIECE) {
      const piece = next.subarray(0, byteLength - at);
      await Promise.all([readInto(at, piece), writing]);
      writing = writeAll(this.#handle, [piece]);
      [next, free] = [free, next];
    }
    await writing;
  }
}

/** Starts writing to the disk while the rest is still being copied; a single sync at the end would wait for it all. */
class Flusher {
  readonly #handle: FileHandle;
  #running: Promise<void> | undefined;
  /** Kept, because Linux reports a failed write-back once, and the last sync would not see it. */
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

  /** Waits for the flush under way: the handle must not be closed before. @returns Why the disk refused, if it did. */
  async failure(): Promise<Error | undefined> {
    await this.#running;
    return this.#failure;
  }
}
