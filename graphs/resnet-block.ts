/** The network `resnet-block`, and the block itself for other networks. */
import { GraphBuilder, type Scope } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import type { Value } from '../lib/graph/types.js';
import { defineGraph } from './shared/definition.js';
import { DIMS_OPTION, imageInput } from './shared/input.js';
import { conv } from './layers/convolution.js';
import { groupNorm } from './layers/normalization.js';
import { requireNumGroups } from './shared/num-groups.js';

interface ResNetBlockOptions {
  readonly outChannels: number;
  /** Stride of the first convolution and of the shortcut. Default 1. */
  readonly stride?: number;
  /** Default 32. */
  readonly numGroups?: number;
}

/**
 * Adds the basic residual block (He et al. 2015, arXiv:1512.03385, figure 2) with GroupNorm: `conv1` 3×3, `gn1`, ReLU,
 * `conv2` 3×3, `gn2`, plus the shortcut, ReLU. The shortcut is `x` itself if shapes allow it, else `shortcut.0` (a 1×1
 * convolution) and `shortcut.1` (GroupNorm). The convolutions have no bias.
 * @param x (N, C, D1, ...) of rank 3 or more, any float.
 * @returns (N, outChannels, ...), each spatial dimension ⌈D / stride⌉.
 * @throws GraphError `NUM_GROUPS_MISMATCH`, `RANK_TOO_LOW`, `INVALID_*`.
 */
export function resnetBlock(
  g: Scope,
  x: Value,
  { outChannels, stride = 1, numGroups = 32 }: ResNetBlockOptions,
): Value {
  const conv3 = { outChannels, kernelSize: 3, padding: 1, bias: false };
  const conv1 = conv(g.scope('conv1'), x, { ...conv3, stride });
  const hidden = op.relu(g, groupNorm(g.scope('gn1'), conv1, { numGroups }));
  const conv2 = conv(g.scope('conv2'), hidden, conv3);
  const residual = groupNorm(g.scope('gn2'), conv2, { numGroups });
  const isIdentity = stride === 1 && x.shape[1] === outChannels;
  const shortcut = isIdentity ? x : projection(g.scope('shortcut'), x, { outChannels, stride, numGroups });
  return op.relu(g, op.add(g, residual, shortcut));
}

function projection(
  g: Scope,
  x: Value,
  { outChannels, stride, numGroups }: Required<ResNetBlockOptions>,
): Value {
  const projected = conv(g.scope('0'), x, { outChannels, kernelSize: 1, stride, bias: false });
  return groupNorm(g.scope('1'), projected, { numGroups });
}

/** A graph of one residual block, for images or volumes. */
export const resnetBlockGraph = defineGraph({
  name: 'resnet-block',
  description:
    'A residual block with GroupNorm: input x (N, inChannels, H, W), or (N, inChannels, D, H, W) with dims 3, output y',
  options: {
    inChannels: { type: 'integer', min: 1, description: 'channels of the input' },
    outChannels: { type: 'integer', min: 1, description: 'channels of the output' },
    stride: { type: 'integer', min: 1, default: 1, description: 'stride of the first convolution' },
    numGroups: { type: 'integer', min: 1, default: 32, description: 'groups of each GroupNorm' },
    dims: DIMS_OPTION,
  },
  build({ inChannels, dims, ...block }, { dtype, shape }) {
    const g = new GraphBuilder('resnet-block');
    requireNumGroups(g.name, block.numGroups, 'outChannels', block.outChannels);
    const x = imageInput(g, { channels: inChannels, dims, dtype, shape });
    g.output('y', resnetBlock(g, x, block));
    return g.build();
  },
});
