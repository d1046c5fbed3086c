/** Options that a caller in JavaScript may have misspelt: no type checker has seen them. */
import { OptionError } from './errors.js';
import { suggestion } from './nearest.js';

/**
 * @param where What takes the options, for the message: `createSession`.
 * @throws OptionError `UNKNOWN_OPTION` naming the option and the known ones.
 */
export function requireKnownOptions(where: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new OptionError(
      'UNKNOWN_OPTION',
      `${where} has no option '${name}'${suggestion(name, known)}; it has: ${known.join(', ')}`,
    );
  }
}
