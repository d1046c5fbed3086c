/** The number of groups of a GroupNorm that takes a BatchNorm's place. */
import { OptionError } from '../errors.js';

/** The number of groups of Wu & He 2018, arXiv:1803.08494. */
const DEFAULT_NUM_GROUPS = 32;

/**
 * Checks the option `numGroups`, or returns 32.
 * @param where What takes the option, for the message: `batchNormToGroupNorm`.
 * @throws OptionError `INVALID_OPTION` if it is not an integer of at least 1.
 */
export function requireGroups(where: string, numGroups = DEFAULT_NUM_GROUPS): number {
  if (Number.isSafeInteger(numGroups) && numGroups >= 1) return numGroups;
  throw new OptionError(
    'INVALID_OPTION',
    `${where}: numGroups must be an integer of at least 1, such as 32; it is ${String(numGroups)}`,
  );
}

/** Returns `numGroups`, halved (and rounded down) until it divides the channels. */
export function halvedToDivide(numGroups: number, channels: number): number {
  let groups = numGroups;
  while (channels % groups !== 0) groups = Math.floor(groups / 2);
  return groups;
}
