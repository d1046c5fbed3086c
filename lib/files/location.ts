/** The places of external data: paths in a model, relative to the model's folder. */

/**
 * Returns whether a path leads out of the model's folder, by its text: it is absolute, a URL, empty, or has more `..` than
 * names before them. A model from elsewhere could read any file of the machine by such a path.
 */
export function leavesFolder(location: string): boolean {
  // Windows has `\` between names, and drives.
  if (location === '' || /^[/\\]|^[a-z][a-z\d+.-]*:/i.test(location) || location.includes('\0')) return true;
  let depth = 0;
  for (const name of location.split(/[/\\]/)) {
    if (name === '' || name === '.') continue;
    depth += name === '..' ? -1 : 1;
    if (depth < 0) return true;
  }
  return depth === 0;
}

/** Follows the name of the file in messages. */
export const LEAVES_FOLDER =
  "which is not in the model's folder: models may read weights from their own folder only. Put the file there, and write " +
  'its name into the model (onnx.load, then onnx.save_model with location)';

/** Where the files with the weights of a model are once links are followed. */
export interface RealDataFiles {
  /** A folder that holds all of them. */
  readonly folder: string;
  /** The path of each file in that folder, by its path in the model. */
  readonly names: ReadonlyMap<string, string>;
}
