/**
 * Checks of the files that a command writes, made before its work: an output must not replace a file that the same
 * command reads, and a report must be writable, so that a long run is not lost.
 */
import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FileError } from '../../errors.js';
import { notAFolder, reasonOf, systemCode } from '../../files/system-error.js';
import { UsageError } from './terminal.js';

/** Paths with the words for them in messages. An `undefined` path, of an option that was not given, is skipped. */
type NamedPaths = Iterable<readonly [name: string, path: string | undefined]>;

/**
 * Refuses an output that is also an input, whatever path or link names it.
 * @param outputs Named by their option: `-o`.
 * @param inputs Named by what they are: `the file of --weights`.
 * @throws UsageError
 */
export async function refuseOverwritingInputs(outputs: NamedPaths, inputs: NamedPaths): Promise<void> {
  const read = new Map<string, string>();
  for (const [name, path] of inputs) {
    const file = await identityOf(path);
    if (file !== undefined) read.set(file, name);
  }
  for (const [option, path] of outputs) {
    const name = read.get((await identityOf(path)) ?? '');
    if (name === undefined) continue;
    throw new UsageError(`${option} would overwrite '${path}', which is ${name}; choose another path`);
  }
}

/** Returns device and inode, which are the same for all links to a file; `undefined` if there is no such file. */
async function identityOf(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found?.isFile() ? `${found.dev}:${found.ino}` : undefined;
}

/**
 * Checks that every file can be written, as far as the file system tells without writing. Creates nothing.
 * @param outputs Named by their option.
 * @throws UsageError if two options name the same file, FileError `FILE_UNWRITABLE` if a file cannot be written.
 */
export async function requireWritableOutputs(outputs: NamedPaths): Promise<void> {
  const options = new Map<string, string>();
  for (const [option, path] of outputs) {
    if (path === undefined) continue;
    const other = options.get(resolve(path));
    if (other !== undefined) {
      throw new UsageError(`${other} and ${option} both name '${path}'; give each its own file`);
    }
    options.set(resolve(path), option);
    await requireWritable(path);
  }
}

async function requireWritable(path: string): Promise<void> {
  try {
    const found = await statIfThere(path);
    if (/[\\/]$/.test(path) || found?.isDirectory()) throw unwritable(path, 'it is a folder; name a file');
    if (found && !found.isFile()) throw unwritable(path, 'it is not a regular file; choose another path');
    await access(found ? path : await nearestFolder(path), constants.W_OK);
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw unwritable(path, reasonOf(error), { cause: error });
  }
}

/** Returns the nearest folder above the file that exists: the missing folders are made in it. */
async function nearestFolder(path: string): Promise<string> {
  let folder = dirname(resolve(path));
  while (!(await statIfThere(folder)) && folder !== dirname(folder)) folder = dirname(folder);
  if ((await statIfThere(folder))?.isFile()) throw notAFolder(folder);
  return folder;
}

const statIfThere = (path: string) =>
  stat(path).catch((error: unknown) => {
    // ENOTDIR is not absence: a file stands where a folder must be, and no file can be made below it.
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });

const unwritable = (path: string, reason: string, options?: ErrorOptions): FileError =>
  new FileError('FILE_UNWRITABLE', `cannot write '${path}': ${reason}`, options);
