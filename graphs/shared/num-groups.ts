/**
 * Chooses numbers of groups.
 *
 * Source: Wu & He 2018, "Group Normalization", arXiv:1803.08494v3. The default is G = 32 (section 3.1), also in the
 * ImageNet models from which the models for COCO and Kinetics start. Section 4.1, Table 3: every fixed G above 1 is
 * better than G = 1 (layer normalization); 2 channels per group are worse than 32 groups, 25.6 % against 24.1 % error.
 */
import { GraphError } from '../../lib/errors.js';

/**
 * The number of groups by use: 32 for detection, segmentation and video.
 *
 * Source: Wu & He 2018, arXiv:1803.08494v3. Detection and segmentation: Mask R-CNN on COCO, section 4.2; 32 is also the default of Detectron
 * (`GROUP_NORM.NUM_GROUPS`) and Detectron2 (`norm: "GN"`). Video: I3D on Kinetics, section 4.3.
 */
export const RECOMMENDED_NUM_GROUPS = { detection: 32, segmentation: 32, video: 32 } as const;

/**
 * The range for small networks, with 64 channels or fewer in their first layers: 8 to 16 groups. The paper does not
 * give this range. With 64 channels, 32 groups have 2 channels each; 8 to 16 groups have 4 to 8 channels each.
 */
export const SMALL_NETWORK_NUM_GROUPS = { least: 8, most: 16 } as const;

const DEFAULT_GROUPS = 32;
const SMALLER_GROUPS = [16, 8, 4, 2, 1];
const LEAST_CHANNELS_PER_GROUP = 4;

/**
 * Returns a number of groups that divides `channels`. From 32 channels on: 32, halved until it divides. Below: the first
 * of 16, 8, 4, 2 and 1 that divides and gives each group at least 4 channels, else 1.
 *
 * ```ts
 * chooseNumGroups(64); // 32
 * chooseNumGroups(24); // 4
 * chooseNumGroups(33); // 1
 * ```
 * @throws GraphError `INVALID_ATTRIBUTE` if `channels` is not an integer of at least 1.
 */
export function chooseNumGroups(channels: number): number {
  if (!Number.isSafeInteger(channels) || channels < 1) {
    throw new GraphError('INVALID_ATTRIBUTE', `channels ${channels} must be an integer of at least 1`);
  }
  if (channels < DEFAULT_GROUPS) {
    const divides = (groups: number) =>
      channels % groups === 0 && channels / groups >= LEAST_CHANNELS_PER_GROUP;
    return SMALLER_GROUPS.find(divides) ?? 1;
  }
  let groups = DEFAULT_GROUPS;
  while (channels % groups !== 0) groups /= 2;
  return groups;
}

/**
 * Requires a number of groups that divides a network's channels.
 * @param option The option of which all numbers of channels are multiples: `width`, `outChannels`.
 * @param groupsOption The option that is the number of groups.
 * @throws GraphError `NUM_GROUPS_MISMATCH`, with a number that fits.
 */
export function requireNumGroups(
  graph: string,
  numGroups: number,
  option: string,
  channels: number,
  groupsOption = 'numGroups',
): void {
  if (channels % numGroups === 0) return;
  throw new GraphError(
    'NUM_GROUPS_MISMATCH',
    `graph '${graph}': ${option} ${channels} is not divisible by ${groupsOption} ${numGroups}; give ${option} as a ` +
      `multiple of ${numGroups}, or ${groupsOption} as a divisor of ${channels}, such as ${chooseNumGroups(channels)}`,
  );
}
