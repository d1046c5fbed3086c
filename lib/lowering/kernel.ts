import { float, int, text } from '../graph/index.js';
import type { FloatDType } from '../tensor.js';
import { FUSED_OP } from './domains.js';
import { channelsOf, filled } from './groups.js';
import type { Lowering } from './types.js';

/**
 * The native kernel under a name of its own, which it has at any opset: the standard operator is there from opset 18
 * on, and takes one scale per channel from 21 on. Only sessions use it, and nobody asks for it by name.
 */
export const kernelLowering: Pick<Lowering, 'lower'> = {
  lower(g, site) {
    const { x, numGroups, epsilon } = site;
    const dtype = x.dtype as FloatDType;
    const { channels } = channelsOf(site);
    const scale = site.scale ?? filled(g, dtype, channels, 1);
    const bias = site.bias ?? filled(g, dtype, channels, 0);
    // 0 is one group per channel: where a model declares another number of them than there is, that is an error.
    const groups = numGroups === channels ? 0 : numGroups;
    const attributes = { num_groups: int(groups), epsilon: float(epsilon), activation: text('none') };
    return g.node(FUSED_OP, [x, scale, bias], attributes, [{ dtype, shape: x.shape }])[0]!;
  },
};
