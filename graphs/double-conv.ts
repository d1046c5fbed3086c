/** The network `double-conv`, and the block itself for other networks. */
import { GraphBuilder, type Scope } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import type { Value } from '../lib/graph/types.js';
import { defineGraph } from './shared/definition.js';
import { DIMS_OPTION, imageInput } from './shared/input.js';
import { conv } from './layers/convolution.js';
import { groupNorm } from './layers/normalization.js';
import { requireNumGroups } from './shared/num-groups.js';

interface DoubleConvOptions {
  readonly outChannels: number;
  /** Default 8. */
  readonly numGroups?: number;
}

/**
 * Adds the U-Net's building block (Ronneberger et al. 2015, arXiv:1505.04597) with GroupNorm and padding: twice a 3×3
 * convolution without bias, GroupNorm and ReLU, as one `nn.Sequential` named `double_conv`.
 * @param x (N, C, D1, ...) of rank 3 or more, any float.
 * @returns (N, outChannels, D1, ...).
 * @throws GraphError `NUM_GROUPS_MISMATCH`, `RANK_TOO_LOW`, `INVALID_*`.
 */
export function doubleConv(g: Scope, x: Value, { outChannels, numGroups = 8 }: DoubleConvOptions): Value {
  const sequential = g.scope('double_conv');
  const layer = (index: number) => sequential.scope(`${index}`);
  const convNormRelu = (input: Value, first: number): Value => {
    const y = conv(layer(first), input, { outChannels, kernelSize: 3, padding: 1, bias: false });
    return op.relu(layer(first + 2), groupNorm(layer(first + 1), y, { numGroups }));
  };
  return convNormRelu(convNormRelu(x, 0), 3);
}

/** A graph of one double convolution, for images or volumes. */
export const doubleConvGraph = defineGraph({
  name: 'double-conv',
  description:
    'Two 3×3 convolutions with GroupNorm and ReLU: input x (N, inChannels, H, W), or (N, inChannels, D, H, W) with ' +
    'dims 3, output y',
  options: {
    inChannels: { type: 'integer', min: 1, description: 'channels of the input' },
    outChannels: { type: 'integer', min: 1, description: 'channels of the output' },
    numGroups: { type: 'integer', min: 1, default: 8, description: 'groups of each GroupNorm' },
    dims: DIMS_OPTION,
  },
  build({ inChannels, dims, ...block }, { dtype, shape }) {
    const g = new GraphBuilder('double-conv');
    requireNumGroups(g.name, block.numGroups, 'outChannels', block.outChannels);
    const x = imageInput(g, { channels: inChannels, dims, dtype, shape });
    g.output('y', doubleConv(g, x, block));
    return g.build();
  },
});
