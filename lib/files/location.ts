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

/**
 * Says what is wrong with the text of a path; `undefined` if it may name a file in the model's folder. The words follow the
 * path in messages.
 */
export function locationProblem(location: string): string | undefined {
  if (leavesFolder(location)) return LEAVES_FOLDER;
  if (location.includes('\uFFFD')) return NOT_UTF8;
  return hasStar(location.split(/[/\\]/)) ? IN_MEMORY : undefined;
}

/**
 * Returns whether a path has the name `*`. ONNX Runtime marks its own tensors in memory by paths such as
 * `_ORT_MEM_ADDR_` between two names `*`, whose `offset` is an address: a path of a file must never become such a path.
 */
export const hasStar = (names: readonly string[]): boolean => names.includes('*');

export const IN_MEMORY =
  "which has the name '*', and ONNX Runtime takes such a path for an address in memory: give the file another name";

const NOT_UTF8 = 'which is not UTF-8: give the file another name';

/** The problem of a path that leads out of the folder. */
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
