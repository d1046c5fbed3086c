import type { Scope } from '../graph/builder.js';
import { float, int, string } from '../graph/attr.js';
import { ONNX_DTYPE, type Value } from '../graph/types.js';
import type { FloatDType } from '../tensor.js';
import { affine, channelsOf, filled, inWideDType } from './rows.js';
import { FUSED_OP, type GroupNormSite, type Lowering } from './types.js';

/** The first opset whose GroupNormalization has one scale and bias per channel; those before have one per group. */
export const PER_CHANNEL_OPSET = 21;

/**
 * The standard operator. Source: ONNX operator page `GroupNormalization`, versions 18 and 21.
 *
 * Version 18 has one scale and bias per *group*, so it gets ones and zeros and the affine part follows; it has
 * no `stash_type` either, so narrow floats are widened around it. ONNX has deprecated that version: runtimes
 * take it, but `onnx.checker` refuses it.
 */
export const opLowering: Lowering = {
  name: 'op',
  minOpset: 18,
  lower(g, site, opset) {
    if (opset < PER_CHANNEL_OPSET) {
      return inWideDType(g, site, (wide) => affine(g, wide, perGroupOperator(g, wide)));
    }
    const { channels } = channelsOf(site);
    return operator(g, site, channels, { scale: site.scale, bias: site.bias, stashType: true });
  },
};

const perGroupOperator = (g: Scope, site: GroupNormSite): Value =>
  operator(g, site, site.numGroups, { scale: undefined, bias: undefined, stashType: false });

function operator(
  g: Scope,
  { x, numGroups, epsilon }: GroupNormSite,
  length: number,
  { scale, bias, stashType }: { scale: Value | undefined; bias: Value | undefined; stashType: boolean },
): Value {
  const dtype = x.dtype as FloatDType;
  const attributes = {
    num_groups: int(numGroups),
    epsilon: float(epsilon),
    ...(stashType && { stash_type: int(dtype === 'float64' ? ONNX_DTYPE.float64 : ONNX_DTYPE.float32) }),
  };
  const inputs = [x, scale ?? filled(g, dtype, length, 1), bias ?? filled(g, dtype, length, 0)];
  return g.node('GroupNormalization', inputs, attributes, [{ dtype, shape: x.shape }])[0]!;
}

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
    const attributes = { num_groups: int(groups), epsilon: float(epsilon), activation: string('none') };
    return g.node(FUSED_OP, [x, scale, bias], attributes, [{ dtype, shape: x.shape }])[0]!;
  },
};
