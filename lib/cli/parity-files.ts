import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FileError, ParityError } from '../errors.js';
import { reasonOf, systemCode } from '../files/system-error.js';

/**
 * The fixtures that paths stand for: files as they are, and of folders every `.safetensors` file in them and in
 * the folders below, sorted. A file that two paths lead to is there once. Whether it can be read is found out
 * when it is read.
 * @throws ParityError `NO_FIXTURES` if a folder has none, FileError `FILE_NOT_FOUND` if a path does not exist,
 * `FILE_UNREADABLE` if it cannot be looked at or a folder not listed.
 */
export async function findFixtures(paths: readonly string[]): Promise<string[]> {
  const files = new Map<string, string>();
  for (const path of paths) {
    for (const file of (await isFolder(path)) ? await listFolder(path) : [path]) {
      if (!files.has(resolve(file))) files.set(resolve(file), file);
    }
  }
  return [...files.values()];
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    const missing = ['ENOENT', 'ENOTDIR'].includes(systemCode(cause) ?? '');
    const code = missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE';
    throw new FileError(code, `cannot read '${path}': ${reasonOf(cause)}`, { cause });
  }
}

async function listFolder(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder, { recursive: true });
  } catch (cause) {
    throw new FileError('FILE_UNREADABLE', `cannot read '${folder}': ${reasonOf(cause)}`, { cause });
  }
  const found = names.filter((name) => name.endsWith('.safetensors')).sort();
  if (found.length > 0) return found.map((name) => join(folder, name));
  throw new ParityError('NO_FIXTURES', `folder '${folder}' and those below it hold no .safetensors file`);
}
