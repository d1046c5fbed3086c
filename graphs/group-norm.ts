/** The network `group-norm`. */
import { GraphBuilder } from '../lib/graph/builder.js';
import { defineGraph } from './shared/definition.js';
import { shapesByName } from './shared/input.js';
import { groupNorm } from './layers/normalization.js';

/** The options of `torch.nn.GroupNorm`. */
export const GROUP_NORM_OPTIONS = {
  numGroups: { type: 'integer', min: 1, description: 'groups that the channels are divided into' },
  numChannels: { type: 'integer', min: 1, description: 'channels of the input' },
  eps: { type: 'number', default: 1e-5, description: 'added to the variance' },
  affine: { type: 'boolean', default: true, description: 'learn a weight and a bias per channel' },
} as const;

/** A graph of one `torch.nn.GroupNorm`. */
export const groupNormGraph = defineGraph({
  name: 'group-norm',
  description: 'One torch.nn.GroupNorm: input x (N, numChannels, ...), output y',
  options: GROUP_NORM_OPTIONS,
  build(options, { dtype, shape }) {
    const g = new GraphBuilder('group-norm');
    const { x = ['N', options.numChannels, 'H', 'W'] } = shapesByName(g.name, shape, ['x']);
    g.output('y', groupNorm(g, g.input('x', dtype, x), options));
    return g.build();
  },
});
