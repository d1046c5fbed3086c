/** Puts system errors into words: what each code means for the user, and what to do. */
import { isError } from '../arrays.js';

const REASONS = new Map([
  ['EACCES', 'permission is denied; change the permissions or choose another path'],
  ['EBUSY', 'another program has it open; close that and try again'],
  ['EDQUOT', 'the disk quota is used up; free some space or choose another disk'],
  ['EEXIST', 'a part of its path is a file, not a folder; choose another path'],
  ['EFBIG', 'it would be larger than a file may be here; raise the limit (ulimit -f) or choose another disk'],
  [
    'EIO',
    'the disk or the system reports an error while it is read or written; copy it to another disk and try again',
  ],
  ['EISDIR', 'it is a folder; name a file'],
  ['ELOOP', 'its symbolic links lead in a circle; choose another path'],
  ['EMFILE', 'too many files are open; close some or raise the limit (ulimit -n)'],
  ['ENAMETOOLONG', 'the name is too long; choose a shorter one'],
  ['ENOENT', 'it does not exist; check the path'],
  ['ENOSPC', 'no space is left on the disk; free some or choose another disk'],
  ['ENOTDIR', 'a part of its path is a file, not a folder; choose another path'],
  ['EPERM', 'permission is denied; change the permissions or choose another path'],
  ['EROFS', 'the file system is read-only; choose another path'],
]);

/** Returns the code of a system error (`'ENOENT'`), or `undefined` for any other error. */
export const systemCode = (error: unknown): string | undefined =>
  isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** Says why a file operation failed, and what to do about it. */
export const reasonOf = (error: unknown): string =>
  REASONS.get(systemCode(error) ?? '') ?? (isError(error) ? error.message : String(error));

/** Makes the error that POSIX gives for a path through a file; Windows says that the path does not exist. */
export const notAFolder = (path: string): Error =>
  Object.assign(new Error(`ENOTDIR: not a directory, '${path}'`), { code: 'ENOTDIR' });
