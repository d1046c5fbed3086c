/**
 * The budgets for files that come from others: how much of the machine a file may take. A budget stands beside the rule
 * that memory and time are in proportion to the size of a file, whatever the file claims.
 */
import { OptionError } from './errors.js';
import { requireKnownOptions } from './options.js';

/** What a file may have and take. Each limit is a number of at least 0, or `Infinity` to take any. */
export interface Limits {
  /** The most nodes, tensors and declared values of a model. Default 1,048,576. */
  readonly modelEntries: number;
  /** The most fields of protobuf in a model. Default 8,388,608. */
  readonly modelFields: number;
  /** The longest name and text in a model, in bytes. Default 1,048,576. */
  readonly modelTextBytes: number;
  /** The most dimensions of a tensor in a model or a safetensors file, and of a type that a model declares. Default 64. */
  readonly modelRank: number;
  /** The most tensors, and the most texts of metadata, of a safetensors file. Default 262,144. */
  readonly weightsEntries: number;
  /** The most bytes that the samples of an image take: 8192 × 8192 RGB of 8 bits take 201,326,592. Default 268,435,456. */
  readonly imageBytes: number;
}

/** The limits that hold if the caller names no others. */
export const DEFAULT_LIMITS: Limits = {
  modelEntries: 2 ** 20,
  modelFields: 2 ** 23,
  modelTextBytes: 2 ** 20,
  modelRank: 64,
  weightsEntries: 2 ** 18,
  imageBytes: 2 ** 28,
};

const NAMES = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];

/** The limits for what this library has written, or has checked before. */
export const NO_LIMITS = Object.fromEntries(NAMES.map((name) => [name, Infinity])) as unknown as Limits;

/**
 * Checks the option `limits` and adds the defaults to it.
 * @param where What takes the option, for the message: `createSession`.
 * @throws OptionError `UNKNOWN_OPTION` for a limit that does not exist, `INVALID_OPTION` for a value that is not a number of
 *   at least 0, `NO_OPTIONS` if it is not an object.
 */
export function requireLimits(where: string, limits: Partial<Limits> = {}): Limits {
  requireKnownOptions(`${where}: limits`, limits, NAMES);
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (typeof value === 'number' && value >= 0) continue;
    throw new OptionError(
      'INVALID_OPTION',
      `${where}: limits.${name} must be a number of at least 0, or Infinity; it is ${String(value)}`,
    );
  }
  return { ...DEFAULT_LIMITS, ...(Object.fromEntries(given) as Partial<Limits>) };
}

/**
 * Returns the message of an error about a limit; such an error has the code `LIMIT_EXCEEDED`.
 * @param claim What the file has or claims: `the model has more than 100 nodes`.
 */
export const overLimit = (claim: string, limit: keyof Limits): string =>
  `${claim}; if you trust the file, set a higher limit (the option limits.${limit})`;
