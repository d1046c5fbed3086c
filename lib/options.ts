/** Checks options and arguments at run time, for callers in JavaScript, where no type checker sees a mistake. */
import { typeName } from './arrays.js';
import { OptionError } from './errors.js';
import { suggestion } from './nearest.js';

/** Whether a value is an object and not an array: what JSON calls an object. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Requires an object that has known options only.
 * @param where What takes the options, for the message: `createSession`.
 * @param hints What to write in place of an unknown option that callers are likely to give.
 * @throws OptionError `UNKNOWN_OPTION` naming the option and the known ones, `NO_OPTIONS` if it is not an object.
 */
export function requireKnownOptions(
  where: string,
  options: object,
  known: readonly string[],
  hints: Readonly<Record<string, string>> = {},
): void {
  if (typeof options !== 'object' || options === null) {
    const names = known.join(', ');
    throw new OptionError(
      'NO_OPTIONS',
      `${where} takes an object of options, not ${String(options)}: ${names}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const hint = Object.hasOwn(hints, name) ? `: ${hints[name]}` : suggestion(name, known);
    throw new OptionError(
      'UNKNOWN_OPTION',
      `${where} has no option '${name}'${hint}; it has: ${known.join(', ') || 'none'}`,
    );
  }
}

/**
 * Makes the error for a value that is not a Uint8Array.
 * @param requirement `convertModel takes a Uint8Array`.
 */
export function notBytes(requirement: string, value: unknown): OptionError {
  const remedy = typeName(value) === 'ArrayBuffer' ? ': new Uint8Array(buffer) makes one of it' : '';
  return new OptionError('INVALID_OPTION', `${requirement}, not ${typeName(value)}${remedy}`);
}

/**
 * Requires an integer as the seed of a generator.
 * @param where What takes the seed, for the message: `initializeWeights`.
 * @throws OptionError `INVALID_OPTION` if it is not an integer.
 */
export function requireSeed(where: string, seed: number): void {
  if (Number.isSafeInteger(seed)) return;
  throw new OptionError('INVALID_OPTION', `${where}: seed ${String(seed)} must be an integer`);
}
