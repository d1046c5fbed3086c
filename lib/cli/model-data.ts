/** The files of weights that a model refers to, where the model itself is written to another place. */
import { realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, resolve, sep } from 'node:path';
import { FileError, ModelError } from '../errors.js';
import type { FileToWrite } from '../files/atomic.js';
import { requireOneFolder } from '../files/links.js';
import type { RangedFile } from '../files/ranged.js';
import { openRanged } from '../files/read.js';
import { systemCode } from '../files/system-error.js';
import { requireInputsKept } from './keep-inputs.js';
import { UsageError } from './usage-error.js';

/** The files beside a model, and what has to be done for another that is to refer to them, too. */
export interface ModelData {
  /** Relative to the model's folder. */
  readonly locations: readonly string[];
  /** Those that are to be written with the model; none where it goes to the same folder, or that are there already. */
  readonly copies: readonly FileToWrite[];
}

/**
 * Looks at all of it before anything is written.
 * @param input Path of the model that is read.
 * @param output Path of the one that is to be written.
 * @param locations As the model has them.
 * @throws UsageError if the output, or a copy, would write over another file; FileError if a file cannot be read;
 *   ModelError `MODEL_UNSUPPORTED` if one is to be copied and lies outside of the model's folder.
 */
export async function planModelData(
  input: string,
  output: string,
  locations: Iterable<string>,
): Promise<ModelData> {
  const names = [...new Set([...locations].map((location) => normalize(location)))];
  const [from, to] = [dirname(resolve(input)), dirname(resolve(output))];
  const sources = names.map((name) => [`the weights of ${input}`, resolve(from, name)] as const);
  await requireInputsKept([['-o', output]], sources);
  if (names.length === 0) return { locations: names, copies: [] };
  await requireOneFolder(output);
  const isSame = await isSameFolder(from, to);
  if (!isSame) for (const name of names) requireWithin(name, input);
  for (const [, path] of sources) await requireReadable(path);
  if (isSame) return { locations: names, copies: [] };
  const copies: FileToWrite[] = [];
  for (const name of names) {
    const [source, target] = [join(from, name), join(to, name)];
    if (target === resolve(output)) throw overWeights(output, name);
    if (!(await isThere(source, target))) copies.push({ path: target, content: chunksOf(source) });
  }
  return { locations: names, copies };
}

/** Runtimes look for no data outside of the model's folder; nor is it written there. */
function requireWithin(name: string, input: string): void {
  if (!isAbsolute(name) && name.split(sep)[0] !== '..') return;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    `${input} keeps weights in '${name}', outside of its own folder, from where they are not copied; ` +
      `write the output into the folder of ${input}`,
  );
}

/** Two names that differ only in how they are written are one folder; one that is missing is no other's. */
async function isSameFolder(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => realpath(path).catch(() => undefined)));
  return one !== undefined && one === other;
}

async function requireReadable(path: string): Promise<void> {
  const file = await openRanged(path);
  await file.close();
}

/**
 * Whether the copy is there already.
 * @throws UsageError if something else is.
 */
async function isThere(source: string, target: string): Promise<boolean> {
  const found = await stat(target).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  });
  if (!found) return false;
  if (found.isFile() && (await haveSameBytes(source, target))) return true;
  throw new UsageError(
    `the model needs a copy of '${source}' beside it, but '${target}' is there and is another: ` +
      'name another folder with -o',
  );
}

async function haveSameBytes(...paths: readonly [string, string]): Promise<boolean> {
  const files: RangedFile[] = [];
  try {
    for (const path of paths) files.push(await openRanged(path));
    const [one, other] = files as [RangedFile, RangedFile];
    if (one.size !== other.size) return false;
    for (let at = 0; at < one.size; at += CHUNK) {
      const length = Math.min(CHUNK, one.size - at);
      const [a, b] = await Promise.all([one.read(at, length), other.read(at, length)]);
      if (Buffer.compare(a, b) !== 0) return false;
    }
    return true;
  } finally {
    for (const file of files) await file.close();
  }
}

/** Weights may be larger than the memory. */
const CHUNK = 2 ** 24;

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await openRanged(path);
  try {
    for (let at = 0; at < file.size; at += CHUNK) {
      yield await file.read(at, Math.min(CHUNK, file.size - at));
    }
  } finally {
    await file.close();
  }
}

const overWeights = (output: string, name: string): FileError =>
  new FileError(
    'FILE_UNWRITABLE',
    `cannot write '${output}': the model keeps its weights in '${name}', which is to lie there; give it another name`,
  );
