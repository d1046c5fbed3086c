/** Checks of files that hold the weights of a model, before anything opens them. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { hasStar, IN_MEMORY, locationProblem, type RealDataFiles } from './location.js';
import { reasonOf, systemCode } from './system-error.js';

/** A file of weights that a runtime may read. */
export interface DataFile {
  /** Its path with all links followed. */
  readonly path: string;
  /** Its permissions. */
  readonly mode: number;
}

/**
 * Finds a file of weights, or says what is wrong with it. The file must be a regular file, in the folder of the model by
 * its path and after links are followed. If the model itself is a link, its file's own folder counts too: Hugging Face's
 * cache keeps a model and its weights as links to files of one folder. ONNX Runtime has the same rule for a model that it
 * reads by its path.
 * @param model Path of the model.
 * @param size How many bytes the file must have.
 */
export function findDataFile(model: string, location: string, size = 0): DataFile | { problem: string } {
  const problem = locationProblem(location);
  if (problem !== undefined) return { problem };
  // `sub/../w` is `w` here, also where `sub` is a link: `followDataLinks` gives runtimes this path and not that text.
  const path = join(dirname(model), location);
  try {
    const found = statSync(path);
    if (!found.isFile()) return { problem: 'which is not a regular file: put a file with the weights there' };
    const real = realpathSync(path);
    const folders = [
      realpathSync(dirname(model)),
      ...(existsSync(model) ? [dirname(realpathSync(model))] : []),
    ];
    if (!folders.some((folder) => isWithin(real, folder)))
      return {
        problem: `which is a link to '${real}', outside of the model's folder: put a copy of the file there`,
      };
    if (hasStar(real.split(sep))) return { problem: IN_MEMORY };
    if (found.size < size)
      return {
        problem: `which has ${found.size} bytes, but the model needs ${size}: get the whole file again`,
      };
    return { path: real, mode: found.mode & 0o777 };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return { problem: MISSING };
    return { problem: `which cannot be read: ${reasonOf(error)}` };
  }
}

/** Says what is wrong with a file of weights; `undefined` if a runtime may read it. {@link findDataFile} has the rule. */
export function dataFileProblem(model: string, location: string, size?: number): string | undefined {
  const found = findDataFile(model, location, size);
  return 'problem' in found ? found.problem : undefined;
}

/** The problem of a file that does not exist. */
export const MISSING = 'which is not beside the model: put the file there';

/**
 * Returns where the files of weights are once links are followed; `undefined` if the model has the paths of the files
 * themselves. Runtimes get these paths, and open the files that were checked: whatever a path with `..` or a link means
 * to them, and without the model's path, by which alone ONNX Runtime can tell that the model is a link too.
 * @param model Path of the model.
 * @param locations Paths without a {@link dataFileProblem}.
 */
export function followDataLinks(model: string, locations: readonly string[]): RealDataFiles | undefined {
  if (locations.length === 0) return undefined;
  const within = realpathSync(dirname(model));
  const real = locations.map((location) => [location, realpathSync(join(dirname(model), location))] as const);
  const files = real.map(([, file]) => file);
  const folder = areWithin(files, within) ? within : commonFolder(files, dirname(files[0]!));
  const names = new Map(
    real.map(([location, file]) => [location, relative(folder, file).replaceAll(sep, '/')]),
  );
  const isSame = folder === within && [...names].every(([location, name]) => location === name);
  return isSame ? undefined : { folder, names };
}

/** Returns the nearest folder that holds all files: `start` or a folder above it. */
function commonFolder(files: readonly string[], start: string): string {
  const above = dirname(start);
  return above === start || areWithin(files, start) ? start : commonFolder(files, above);
}

const areWithin = (files: readonly string[], folder: string): boolean =>
  files.every((file) => isWithin(file, folder));

function isWithin(path: string, folder: string): boolean {
  const steps = relative(folder, path);
  return steps !== '' && !isAbsolute(steps) && steps.split(sep)[0] !== '..';
}
