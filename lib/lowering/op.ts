/** The lowering `op`, and the native kernel's own operator. */
import type { Scope } from '../graph/builder.js';
import { float, int, string } from '../graph/attr.js';
import { ONNX_DTYPE, type Value } from '../graph/types.js';
import type { FloatDType } from '../tensor.js';
import { affine, channelsOf, filled, inWideDType } from './rows.js';
import { FUSED_OP, type GroupNormSite, type Lowering, type LoweringForm } from './types.js';

/** The first opset whose GroupNormalization has one scale and bias per channel; opsets 18 to 20 have one per group. */
export const PER_CHANNEL_OPSET = 21;

/**
 * Writes the standard operator. Source: ONNX operator page `GroupNormalization`, versions 18 and 21.
 *
 * Version 18 has one scale and bias per *group*: they are ones and zeros, and Mul and Add follow. It has no
 * `stash_type`, so that float16 and bfloat16 are cast to float32 around it. ONNX has deprecated that version: runtimes
 * accept it, but `onnx.checker` refuses it.
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
 * Writes the native kernel's own operator, which exists at any opset; the standard operator needs opset 18, and opset 21
 * for one scale per channel. Sessions alone use it, and it has no name that a user can ask for.
 */
export const kernelLowering: LoweringForm = {
  isOfAnyOpset: true,
  lower(g, site) {
    const { x, numGroups, epsilon, isCorrected = false } = site;
    const dtype = x.dtype as FloatDType;
    const { channels } = channelsOf(site);
    const scale = site.scale ?? filled(g, dtype, channels, 1);
    const bias = site.bias ?? filled(g, dtype, channels, 0);
    // 0 means one group per channel. If the input has other channels than the model declares, the kernel then refuses
    // the scale; given their number, it would take the scale for one per group.
    const groups = numGroups === channels ? 0 : numGroups;
    const attributes = {
      num_groups: int(groups),
      epsilon: float(epsilon),
      activation: string('none'),
      ...(isCorrected && { correction: int(1) }),
    };
    return g.node(FUSED_OP, [x, scale, bias], attributes, [{ dtype, shape: x.shape }])[0]!;
  },
};
