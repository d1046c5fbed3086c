/** Reads files from disk, whole or in part, of any size. */
import { type BigIntStats, constants, type Stats } from 'node:fs';
import { copyFile, open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { FileError } from '../errors.js';
import { checkRange, unreadable, type RangedFile } from './ranged.js';
import { reasonOf, systemCode } from './system-error.js';

/** The most bytes that one read asks the system for; Node refuses 2^31 and more. */
const CHUNK = 2 ** 30;

/**
 * Reads a whole file.
 * @param check Throws if the file is not worth reading, by its size or by parts of it.
 * @throws FileError `FILE_NOT_FOUND` or `FILE_UNREADABLE`, with the system's error as `cause`.
 */
export async function readFileBytes(
  path: string,
  check?: (file: RangedFile) => void | Promise<void>,
): Promise<Uint8Array> {
  const file = await openRanged(path);
  try {
    await check?.(file);
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/** Reads the first bytes of a file, `length` if it has as many. */
export const readStart = (file: RangedFile, length: number): Promise<Uint8Array> =>
  file.read(0, Math.min(length, file.size));

/**
 * Opens a regular file to read parts of it. Folders, pipes and devices have no size to read within, and are refused.
 * @throws FileError `FILE_NOT_FOUND` or `FILE_UNREADABLE`, with the system's error as `cause`.
 */
export async function openRanged(path: string): Promise<RangedFile> {
  const handle = await openRegular(path);
  let closing: Promise<void> | undefined;
  const opened = await handle.stat({ bigint: true });
  const size = Number(opened.size);
  const check = (offset: number, length: number): void => {
    if (closing) throw unreadable(path, 'it has been closed; open it again');
    checkRange(path, offset, length, size);
  };
  return {
    path,
    size,
    async read(offset, length) {
      check(offset, length);
      const bytes = newMemory(path, length);
      await readExactly(path, handle, offset, bytes);
      return bytes;
    },
    async readInto(offset, bytes) {
      check(offset, bytes.byteLength);
      await readExactly(path, handle, offset, bytes);
    },
    async copyTo(target) {
      check(0, size);
      await requireUnchanged(path, opened);
      // The path itself, because macOS would clone a symbolic link as a link.
      await copyFile(await realpath(path), target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      await requireUnchanged(path, opened);
    },
    close: () => (closing ??= handle.close()),
  };
}

/** Requires that a path leads to the file that was opened, as it was: a copy takes what is at the path. */
async function requireUnchanged(path: string, opened: BigIntStats): Promise<void> {
  const now = await stat(path, { bigint: true }).catch(() => undefined);
  if (now && IDENTITY.every((field) => now[field] === opened[field])) return;
  throw unreadable(path, 'another program has changed it meanwhile');
}

const IDENTITY = ['dev', 'ino', 'size', 'mtimeNs'] as const;

async function openRegular(path: string): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    // Checked before opening, because some devices act when they are opened.
    requireRegular(path, await stat(path));
    handle = await open(path, READ_AT_ONCE);
    requireRegular(path, await handle.stat());
    return handle;
  } catch (error) {
    await handle?.close();
    throw asFileError(path, error);
  }
}

/** Opening does not wait for the writer of a pipe, by which the file may have been replaced. Windows has no such flag. */
const READ_AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

function requireRegular(path: string, found: Stats): void {
  if (found.isDirectory()) throw unreadable(path, 'it is a folder; name a file');
  if (!found.isFile()) throw unreadable(path, 'it is not a regular file; copy its content into one');
}

function newMemory(path: string, length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw unreadable(path, `${length} bytes do not fit in memory`, { cause });
  }
}

async function readExactly(
  path: string,
  handle: FileHandle,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  try {
    let done = 0;
    while (done < bytes.byteLength) {
      const wanted = Math.min(bytes.byteLength - done, CHUNK);
      const { bytesRead } = await handle.read(bytes, done, wanted, offset + done);
      if (bytesRead === 0)
        throw unreadable(path, `it ends at byte ${offset + done}; another program has changed it meanwhile`);
      done += bytesRead;
    }
  } catch (error) {
    throw asFileError(path, error);
  }
}

function asFileError(path: string, error: unknown): FileError {
  if (error instanceof FileError) return error;
  const missing = ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '');
  const code = missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE';
  return new FileError(code, `cannot read '${path}': ${reasonOf(error)}`, { cause: error });
}
