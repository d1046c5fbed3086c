/** The data files of a model that is converted: they are copied beside the output, or stay in place. */
import { realpath, stat } from 'node:fs/promises';
import { dirname, join, normalize, resolve } from 'node:path';
import { FileError, ModelError } from '../../../errors.js';
import { type FileToWrite, requireOneFolder } from '../../../files/atomic.js';
import { type DataFile, dataFileProblem, findDataFile, MISSING } from '../../../files/data-file.js';
import type { RangedFile } from '../../../files/ranged.js';
import { openRanged } from '../../../files/read.js';
import { Budget, type Limits, requireLimits } from '../../../limits.js';
import { externalFiles, type ExternalFiles, renameLocations } from '../../../onnx/protobuf/tensor-walk.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import { UsageError } from '../../shared/terminal.js';

/** The data files of a model, which hold weights outside of the `.onnx` file. */
export interface ModelData {
  /** Paths relative to the folder of the model. */
  readonly locations: readonly string[];
  /** The path of each file in the output, by its path in the model. They differ where that has `.` or `..`. */
  readonly names: ReadonlyMap<string, string>;
  /** The files to copy beside the output. Empty if it goes to the same folder, or if equal files are there already. */
  readonly copies: readonly FileToWrite[];
}

/**
 * Returns the files to write for a converted model: copies of the data files that it still needs, and the model itself at last.
 * @param before The model as it was read.
 */
export async function planFiles(
  path: string,
  { output, limit }: { readonly output: string; readonly limit?: Partial<Limits> | undefined },
  before: Uint8Array,
  bytes: Uint8Array,
): Promise<{ readonly files: readonly FileToWrite[]; readonly data: ModelData }> {
  const filesOf = (model: Uint8Array) =>
    externalFiles(model, new Budget(requireLimits('convert', limit), model.byteLength));
  const read = [...filesOf(before).keys()].map((location) => resolve(dirname(path), location));
  await refuseOverwritingInputs(
    [['-o', output]],
    read.map((file) => [`a data file of ${path}`, file]),
  );
  const data = await planModelData(path, output, filesOf(bytes));
  return { files: [...data.copies, { path: output, content: renameLocations(bytes, data.names) }], data };
}

/**
 * Decides which data files must be copied for the output, and makes all checks before anything is written.
 * @param input Path of the model that is read.
 * @param output Path of the model to write.
 * @param files The data files.
 * @throws UsageError if the output or a copy would overwrite another file, FileError if a file cannot be read,
 *   ModelError `MODEL_UNSUPPORTED` if a file is not a regular file, is too short, or lies outside of the folder of the model.
 */
export async function planModelData(input: string, output: string, files: ExternalFiles): Promise<ModelData> {
  const sources = findSources(input, files);
  const names = new Map([...files.keys()].map((location) => [location, normalize(location)]));
  const locations = [...sources.keys()];
  const plan = { locations, names, copies: [] };
  const read = [...sources.values()].map(({ path }) => [`a data file of ${input}`, path] as const);
  await refuseOverwritingInputs([['-o', output]], read);
  if (locations.length === 0) return plan;
  await requireOneFolder(output);
  const [from, to] = [dirname(resolve(input)), dirname(resolve(output))];
  const isSame = await isSameFolder(from, to);
  for (const [, path] of read) await requireReadable(path);
  if (isSame) {
    requireReadableFrom(output, locations);
    return plan;
  }
  const copies: FileToWrite[] = [];
  for (const [name, { path, mode }] of sources) {
    const target = join(to, name);
    if (target === resolve(output)) throw sameNameAsData(output, name);
    if (isHidden(name)) throw hiddenName(input, name);
    if (await isCopied(path, target)) requireReadableFrom(output, [name]);
    else copies.push({ path: target, content: chunksOf(path), mode });
  }
  return { ...plan, copies };
}

/**
 * Finds the data files, by their paths without `.` and `..`. Refuses files outside of the folder of the model, because
 * runtimes do not read them.
 */
function findSources(input: string, files: ExternalFiles): Map<string, DataFile> {
  const sources = new Map<string, DataFile>();
  for (const [location, { size }] of files) {
    const found = findDataFile(input, location, size);
    if (!('problem' in found)) sources.set(normalize(location), found);
    else if (found.problem === MISSING)
      throw new FileError(
        'FILE_NOT_FOUND',
        `${input} keeps its weights in the separate file '${location}', ${MISSING}`,
      );
    else
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        `${input} keeps its weights in '${location}', ${found.problem}`,
      );
  }
  return sources;
}

/** Refuses to leave data files in place that the output may not read: links that only its source is allowed to follow. */
function requireReadableFrom(output: string, names: readonly string[]): void {
  for (const name of names) {
    const problem = dataFileProblem(output, name);
    if (problem === undefined) continue;
    const remedy = 'or name another folder with -o, which gets a copy';
    throw new UsageError(`${output} would find its weights in '${name}', ${problem}, ${remedy}`);
  }
}

/** Compares folders by their real paths. A folder that does not exist is not the same as any other. */
async function isSameFolder(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => realpath(path).catch(() => undefined)));
  return one !== undefined && one === other;
}

async function requireReadable(path: string): Promise<void> {
  const file = await openRanged(path);
  await file.close();
}

/**
 * Returns whether `target` has the bytes of `source` already. A target that cannot be looked at counts as missing: the
 * write says what is wrong with it.
 * @throws UsageError if the target is another file, or a folder.
 */
async function isCopied(source: string, target: string): Promise<boolean> {
  const found = await stat(target).catch(() => undefined);
  if (!found) return false;
  if (found.isFile() && (await haveSameBytes(source, target))) return true;
  throw new UsageError(
    `the model needs a copy of '${source}' beside it, but '${target}' exists and is different; ` +
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

/** Bytes that are read at once, because data files may be larger than the memory. */
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

const isHidden = (name: string): boolean => name.split(/[/\\]/).some((part) => part.startsWith('.'));

/** The model chooses the names of copies, and programs take hidden files for settings: `.bashrc`, `.ssh`. */
const hiddenName = (input: string, name: string): ModelError =>
  new ModelError(
    'MODEL_UNSUPPORTED',
    `${input} keeps its weights in the hidden file '${name}', which convert does not copy to another folder: write the ` +
      'output beside the model (-o)',
  );

const sameNameAsData = (output: string, name: string): FileError =>
  new FileError(
    'FILE_UNWRITABLE',
    `cannot write '${output}': the weights of the model go to '${name}' in the same folder; give the output another name`,
  );
