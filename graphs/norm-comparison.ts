/** The network `norm-comparison`. */
import { GraphBuilder } from '../lib/graph/builder.js';
import { defineGraph } from './shared/definition.js';
import { imageInput } from './shared/input.js';
import { batchNormTraining, groupNorm, instanceNorm, layerNorm } from './layers/normalization.js';

const CHANNELS = 8;
const GROUPS = 4;

/**
 * Four normalizations of one input, all with eps 1e-5 and without parameters, compared as in Wu & He 2018
 * (arXiv:1803.08494, figure 2). A sample gives the same result alone and in a batch, except under BatchNorm.
 */
export const normComparisonGraph = defineGraph({
  name: 'norm-comparison',
  description:
    'BatchNorm (with batch statistics), LayerNorm, GroupNorm and InstanceNorm side by side: input x (N, 8, H, W), ' +
    'outputs batch_norm, layer_norm, group_norm and instance_norm; needs opset 17',
  options: {},
  build(_, { dtype, shape }) {
    const g = new GraphBuilder('norm-comparison');
    const x = imageInput(g, { channels: CHANNELS, dtype, shape });
    g.output('batch_norm', batchNormTraining(g.scope('batch_norm'), x));
    g.output('layer_norm', layerNorm(g.scope('layer_norm'), x));
    g.output('group_norm', groupNorm(g.scope('group_norm'), x, { numGroups: GROUPS, affine: false }));
    g.output('instance_norm', instanceNorm(g.scope('instance_norm'), x));
    return g.build();
  },
});
