/**
 * Finds the models of a path: one file, one model's folder, a folder of files, or a repository as Triton lays it out. It reads
 * names alone, no model.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { reasonOf } from '../../files/system-error.js';
import { ServerError } from '../../errors.js';
import { printable } from '../../printable.js';
import { plural } from '../../quantities.js';

/** A model that a path holds. */
export interface FoundModel {
  readonly name: string;
  /** Its `config.pbtxt`, if it has one. */
  readonly configPath: string | undefined;
  /** Its versions, at least one, the newest first. */
  readonly versions: readonly FoundVersion[];
}

/** One version of a model. */
export interface FoundVersion {
  /** A number, as text. */
  readonly version: string;
  /** The model's file, or the folder that holds it. */
  readonly path: string;
}

const CONFIG = 'config.pbtxt';
/** The file of a model within its folder, unless the configuration names another. */
export const MODEL_FILE = 'model.onnx';
/** The version of a model whose folder has no versions. */
const ONLY_VERSION = '1';
/** Triton ignores folders whose names start with 0. */
const VERSION_NAME = /^[1-9]\d{0,14}$/;
const MODEL_SUFFIXES = ['.onnx', '.ort'];

const LAYOUTS =
  'expected a .onnx file, a folder with model.onnx or 1/model.onnx, or a folder of such files and folders';

/**
 * Finds the models of a path.
 * @param modelName The name of the model, where the path holds exactly one.
 * @throws ServerError `REPOSITORY_INVALID` if the path cannot be read or holds no model, or several for one name.
 */
export async function findModels(path: string, modelName?: string): Promise<readonly FoundModel[]> {
  const found = await read(path, () => findIn(resolve(path)));
  if (found.length === 0) throw invalid(`'${path}' holds no model: ${LAYOUTS}`);
  if (modelName === undefined) return found;
  if (found.length > 1) {
    throw invalid(
      `'${path}' holds ${plural(found.length, 'model')}, so a model name cannot name them: leave it out`,
    );
  }
  return [{ ...found[0]!, name: modelName }];
}

async function findIn(path: string): Promise<readonly FoundModel[]> {
  if (!(await stat(path)).isDirectory()) {
    return [{ name: stemOf(path), configPath: undefined, versions: [{ version: ONLY_VERSION, path }] }];
  }
  const names = await namesIn(path);
  const model = await modelIn(path, names);
  if (model) return [model];
  const found = await Promise.all(names.map((name) => findChild(join(path, name))));
  return found.filter((child) => child !== undefined);
}

/** Returns the model of a file or folder in a repository; `undefined` if it is neither a model nor a model's folder. */
async function findChild(path: string): Promise<FoundModel | undefined> {
  // A link may lead to a file that is gone.
  const kind = await stat(path).catch(() => undefined);
  if (kind?.isDirectory()) return modelIn(path, await namesIn(path));
  if (!kind?.isFile() || !MODEL_SUFFIXES.includes(extname(path))) return undefined;
  return { name: stemOf(path), configPath: undefined, versions: [{ version: ONLY_VERSION, path }] };
}

/** Returns the model whose folder this is; `undefined` if it is not the folder of one model. */
async function modelIn(folder: string, names: readonly string[]): Promise<FoundModel | undefined> {
  const configPath = names.includes(CONFIG) ? join(folder, CONFIG) : undefined;
  const numbered = names.filter((name) => VERSION_NAME.test(name)).sort((a, b) => Number(b) - Number(a));
  const folders = await Promise.all(
    numbered.map(async (name) => (await stat(join(folder, name))).isDirectory()),
  );
  const versions = numbered
    .filter((_, i) => folders[i])
    .map((version) => ({ version, path: join(folder, version) }));
  if (versions.length === 0 && names.includes(MODEL_FILE))
    versions.push({ version: ONLY_VERSION, path: join(folder, MODEL_FILE) });
  if (versions.length === 0 && configPath === undefined) return undefined;
  // Its load says what is missing.
  if (versions.length === 0) versions.push({ version: ONLY_VERSION, path: join(folder, ONLY_VERSION) });
  return { name: basename(folder), configPath, versions };
}

/** Hidden files are left out: links of Kubernetes' volumes, and files that are not complete yet. */
const namesIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();

const stemOf = (path: string): string => basename(path, extname(path));

/**
 * Returns the file of a version.
 * @param fileName The file's name in the version's folder.
 * @throws ServerError `REPOSITORY_INVALID` if it is missing.
 */
export async function modelFileOf({ path }: FoundVersion, fileName: string): Promise<string> {
  if (!(await isFolder(path))) return path;
  const within = join(path, fileName);
  // A model with external data is a folder of its name.
  return (await isFolder(within)) ? join(within, fileName) : within;
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/**
 * Returns a text that is another one after the files of a version have changed: the names, sizes and times of the files in the
 * version's folder, or of the model's file and the files whose names begin like its name; and of the configuration.
 */
export async function fingerprintOf({ path }: FoundVersion, configPath: string | undefined): Promise<string> {
  const recursive = await isFolder(path);
  const folder = recursive ? path : dirname(path);
  // The folder may be gone by now.
  const names = await readdir(folder, { recursive }).catch(() => []);
  const own = names.filter((name) => recursive || name.startsWith(stemOf(path))).sort();
  const files = own.map((name) => join(folder, name)).concat(configPath ?? []);
  return (await Promise.all(files.map(stateOf))).join('\n');
}

async function stateOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found ? [path, found.ino, found.size, found.mtimeNs].join() : path;
}

async function read<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof ServerError) throw error;
    throw invalid(`cannot read '${printable(path)}': ${reasonOf(error)}`, error);
  }
}

const invalid = (message: string, cause?: unknown): ServerError =>
  new ServerError('REPOSITORY_INVALID', message, { cause });
