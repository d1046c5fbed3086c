/** The lowering `instance-norm`. */
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import type { FloatDType } from '../tensor.js';
import { centred } from './row-means.js';
import { affine, channelsOf, filled, fromRows, inWideDType, toRows } from './rows.js';
import type { GroupNormSite, Lowering } from './types.js';

/**
 * Centres the rows and applies InstanceNormalization to them, as PyTorch's exporter does below opset 21 (without
 * centring). With as many groups as channels, `x` needs no rows, and InstanceNormalization takes the site's own scale
 * and bias. Source: ONNX operator page `InstanceNormalization`.
 */
export const instanceNormLowering: Lowering = {
  name: 'instance-norm',
  minOpset: 7,
  lower: (g, site, opset) =>
    inWideDType(g, site, (wide) => (isInstanceNorm(wide) ? direct(g, wide, opset) : viaRows(g, wide, opset))),
};

const isInstanceNorm = (site: GroupNormSite): boolean =>
  site.numGroups === channelsOf(site).channels && site.x.rank >= 3;

const direct = (g: Scope, site: GroupNormSite, opset: number): Value =>
  instanceNorm(g, centred(g, site, opset), site, site.scale, site.bias);

function viaRows(g: Scope, site: GroupNormSite, opset: number): Value {
  const normalized = instanceNorm(g, toRows(g, site, centred(g, site, opset)), site, undefined, undefined);
  return affine(g, site, fromRows(g, site, normalized));
}

function instanceNorm(
  g: Scope,
  x: Value,
  { numGroups, epsilon }: GroupNormSite,
  scale: Value | undefined,
  bias: Value | undefined,
): Value {
  const dtype = x.dtype as FloatDType;
  const ones = scale ?? filled(g, dtype, numGroups, 1);
  const zeros = bias ?? filled(g, dtype, numGroups, 0);
  return op.instanceNormalization(g, x, ones, zeros, { epsilon });
}
