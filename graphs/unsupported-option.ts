/** The error for an option of a configuration; a module of its own, so that networks can make it too. */
import { CheckpointError } from '../lib/errors.js';

/**
 * Makes the error for a value of a configuration for which there is no graph.
 * @param supported The values that are supported: `silu, relu`.
 */
export const unsupportedOption = (
  className: string,
  key: string,
  value: unknown,
  supported: string,
): CheckpointError =>
  new CheckpointError(
    'UNSUPPORTED_OPTION',
    `the configuration of ${className} has ${key} ${showValue(value)}, which is not supported; supported: ${supported}`,
  );

/** The longest value in a message. */
const MOST_CHARACTERS = 100;

/** Formats a value of a configuration as JSON; a value that nests deeper than any option does as `…`. */
export function showValue(value: unknown): string {
  const text = isShallow(value, 3) ? JSON.stringify(value) : '…';
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

/** Returns whether a value has at most so many levels; JSON.stringify overflows the stack for some 10,000. */
const isShallow = (value: unknown, levels: number): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (levels > 0 && Object.values(value).every((part) => isShallow(part, levels - 1)));
