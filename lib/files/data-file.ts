/** Checks of files that hold the weights of a model, before anything opens them. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { leavesFolder, LEAVES_FOLDER, type RealDataFiles } from './location.js';
import { reasonOf, systemCode } from './system-error.js';

/**
 * Says what is wrong with a file of weights; `undefined` if a runtime may read it. The file must be a regular file, in the
 * folder of the model by its path and after links are followed. If the model itself is a link, its file's own folder counts
 * too: Hugging Face's cache keeps a model and its weights as links to files of one folder. ONNX Runtime has the same rule
 * for a model that it reads by its path.
 * @param model Path of the model.
 */
export function dataFileProblem(model: string, location: string): string | undefined {
  if (leavesFolder(location)) return LEAVES_FOLDER;
  const path = join(dirname(model), location);
  try {
    if (!statSync(path).isFile()) return 'which is not a regular file: put a file with the weights there';
    const real = realpathSync(path);
    const folders = [
      realpathSync(dirname(model)),
      ...(existsSync(model) ? [dirname(realpathSync(model))] : []),
    ];
    if (folders.some((folder) => isWithin(real, folder))) return undefined;
    return `which is a link to '${real}', outside of the model's folder: put a copy of the file there`;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return MISSING;
    return `which cannot be read: ${reasonOf(error)}`;
  }
}

/** The problem of a file that does not exist. */
export const MISSING = 'which is not beside the model: put the file there';

/**
 * Returns where the files of weights are once links are followed; `undefined` if links lead none of them out of the
 * model's folder. ONNX Runtime gets a model as bytes, with the folder of its weights. It follows links, and refuses
 * what lies outside of that folder, because without the model's path it cannot tell that the model is such a link too.
 * @param model Path of the model.
 * @param locations Paths without a {@link dataFileProblem}.
 */
export function followDataLinks(model: string, locations: readonly string[]): RealDataFiles | undefined {
  if (locations.length === 0) return undefined;
  const within = dirname(model);
  const real = locations.map((location) => [location, realpathSync(join(within, location))] as const);
  const files = real.map(([, file]) => file);
  if (areWithin(files, realpathSync(within))) return undefined;
  const folder = commonFolder(files, dirname(files[0]!));
  return { folder, names: new Map(real.map(([location, file]) => [location, relative(folder, file)])) };
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
