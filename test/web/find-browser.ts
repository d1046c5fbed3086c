/** Finds the browsers of the system; downloads nothing. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Returns the path of a browser: of an environment variable, or of the first of these names in PATH. */
export const findBrowser = (variable: string, names: readonly string[]): string | undefined =>
  process.env[variable] || names.flatMap(inPath).find(isExecutable);

function inPath(name: string): string[] {
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
