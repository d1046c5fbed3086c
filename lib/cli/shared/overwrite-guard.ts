/** The files that a command reads must not be the ones that it writes. */
import { stat } from 'node:fs/promises';
import { UsageError } from './terminal.js';

/** Paths by the words that a message has for them; what is not given is no file. */
export type NamedPaths = Iterable<readonly [name: string, path: string | undefined]>;

/**
 * @param outputs By the option that names them: `-o`.
 * @param inputs By what they are: `the file of --weights`.
 * @throws UsageError if one is the same file as another, by whatever path.
 */
export async function requireInputsKept(outputs: NamedPaths, inputs: NamedPaths): Promise<void> {
  const read = new Map<string, string>();
  for (const [name, path] of inputs) {
    const file = await identityOf(path);
    if (file !== undefined) read.set(file, name);
  }
  for (const [option, path] of outputs) {
    const name = read.get((await identityOf(path)) ?? '');
    if (name === undefined) continue;
    throw new UsageError(`${option} would write over '${path}', which is ${name}: give it another path`);
  }
}

/** The file itself, not a name of it; nothing if there is none. */
async function identityOf(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found?.isFile() ? `${found.dev}:${found.ino}` : undefined;
}
