/** The files that reports go to, looked at before the work that would be lost with them. */
import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FileError } from '../errors.js';
import { notAFolder, reasonOf, systemCode } from '../files/system-error.js';
import { UsageError } from './usage-error.js';

/**
 * Checks that every target can be written, as far as can be told without writing: nothing is made or changed.
 * @param targets Paths by the option that names them.
 * @throws UsageError if two are the same file, FileError `FILE_UNWRITABLE` if one is a folder or in none.
 */
export async function requireTargets(targets: Readonly<Record<string, string | undefined>>): Promise<void> {
  const options = new Map<string, string>();
  for (const [option, path] of Object.entries(targets)) {
    if (path === undefined) continue;
    const other = options.get(resolve(path));
    if (other !== undefined) {
      throw new UsageError(`${other} and ${option} both name '${path}': give each a file of its own`);
    }
    options.set(resolve(path), option);
    await requireWritable(path);
  }
}

async function requireWritable(path: string): Promise<void> {
  try {
    const found = await ifThere(path);
    if (/[\\/]$/.test(path) || found?.isDirectory()) throw unwritable(path, 'it is a folder; name a file');
    if (found && !found.isFile()) throw unwritable(path, 'it is not a regular file; choose another path');
    if (found) await access(path, constants.W_OK);
    else await access(await nearestFolder(path), constants.W_OK);
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw unwritable(path, reasonOf(error), { cause: error });
  }
}

/** The folder that the file, or the folders above it that are missing, will be made in. */
async function nearestFolder(path: string): Promise<string> {
  let folder = dirname(resolve(path));
  while (!(await ifThere(folder)) && folder !== dirname(folder)) folder = dirname(folder);
  if ((await ifThere(folder))?.isFile()) throw notAFolder(folder);
  return folder;
}

const ifThere = (path: string) =>
  stat(path).catch((error: unknown) => {
    // ENOTDIR, a file where a folder must be, is no absence: nothing can be made there.
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });

const unwritable = (path: string, reason: string, options?: ErrorOptions): FileError =>
  new FileError('FILE_UNWRITABLE', `cannot write '${path}': ${reason}`, options);
