import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FileError } from '../errors.js';

/**
 * Checks that a file which another is to lie beside is no symbolic link into another folder: beside the link, the
 * second would not be found by who opens the file itself, and beside the file not by who opens the link.
 * @throws FileError `FILE_UNWRITABLE`
 */
export async function requireOneFolder(path: string): Promise<void> {
  // What cannot be looked at is for the writing to report.
  const [target, folder] = await Promise.all(
    [path, dirname(path)].map((one) => realpath(one).catch(() => undefined)),
  );
  if (target === undefined || dirname(target) === folder) return;
  throw new FileError(
    'FILE_UNWRITABLE',
    `cannot write '${path}' with a file beside it: it is a symbolic link into another folder; name '${target}' itself`,
  );
}
