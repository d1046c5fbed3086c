import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { FileError, ParityError } from '../errors.js';
import { modelPathOf } from '../parity/read-test-data-set.js';
import { reasonOf, systemCode } from '../files/system-error.js';

/** What cases are made of. */
export interface ParitySource {
  /** Of the fixture's file, or the data set's folder. */
  readonly path: string;
  /** A data set of an existing model, beside it; else a fixture. */
  readonly isDataSet: boolean;
}

/**
 * What paths stand for: files as they are, and of folders every `.safetensors` file and every `test_data_set_*`
 * folder in them and in the folders below, sorted; a folder of that name stands for itself, too. What two paths lead
 * to is there once. Whether it can be read is found out when it is read.
 * @throws ParityError `NO_FIXTURES` if a folder has none, or a path is that of a part of a data set; FileError
 *   `FILE_NOT_FOUND` if a path does not exist, `FILE_UNREADABLE` if it cannot be looked at or a folder not listed.
 */
export async function findSources(paths: readonly string[]): Promise<ParitySource[]> {
  const sources = new Map<string, ParitySource>();
  for (const path of paths) {
    for (const source of (await isFolder(path)) ? await listFolder(path) : [asFixture(path)]) {
      const key = resolve(source.path);
      if (!sources.has(key)) sources.set(key, source);
    }
  }
  return [...sources.values()];
}

function asFixture(path: string): ParitySource {
  if (!/\.(onnx|pb)$/.test(path)) return { path, isDataSet: false };
  throw new ParityError(
    'NO_FIXTURES',
    `'${path}' alone is no case: name the folder that holds model.onnx and its test_data_set_0`,
  );
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

async function listFolder(folder: string): Promise<ParitySource[]> {
  const found = (await entriesBelow(folder)).filter(
    ({ path, isDataSet }) => isDataSet || path.endsWith('.safetensors'),
  );
  if (found.length > 0) return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  throw new ParityError(
    'NO_FIXTURES',
    `folder '${folder}' and those below it hold neither a .safetensors file nor a test_data_set_0 beside a model.onnx`,
  );
}

async function entriesBelow(folder: string): Promise<ParitySource[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const below = entries.map((entry) => ({
      path: join(entry.parentPath, entry.name),
      isDataSet: entry.isDirectory() && isDataSetName(entry.name),
    }));
    return [{ path: folder, isDataSet: isDataSetName(basename(resolve(folder))) }, ...below];
  } catch (cause) {
    throw new FileError('FILE_UNREADABLE', `cannot read '${folder}': ${reasonOf(cause)}`, { cause });
  }
}

const isDataSetName = (name: string): boolean => name.startsWith('test_data_set_');

/** The files that a source is read from, as far as they are there: what no report may be written over. */
export async function filesOf({ path, isDataSet }: ParitySource): Promise<string[]> {
  if (!isDataSet) return [path];
  const names = await readdir(path).catch(() => []);
  return [modelPathOf(path), ...names.map((name) => join(path, name))];
}
