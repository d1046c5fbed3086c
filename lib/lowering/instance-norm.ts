import { op, type Scope, type Value } from '../graph/index.js';
import type { FloatDType } from '../tensor.js';
import { affine, channelsOf, filled, inWideDType } from './groups.js';
import { fromRows, toCentredRows } from './rows.js';
import type { GroupNormSite, Lowering } from './types.js';

/**
 * InstanceNormalization of the rows: what PyTorch's exporter writes below opset 21. With as many groups as
 * channels it is InstanceNormalization itself, with the site's own scale and bias.
 */
export const instanceNormLowering: Lowering = {
  name: 'instance-norm',
  minOpset: 13,
  lower: (g, site) =>
    inWideDType(g, site, (wide) => (isInstanceNorm(wide) ? direct(g, wide) : viaRows(g, wide))),
};

/**
 * The same of what is rows already, (N, G, K), as an inlined body has them: they are centred all the same, though
 * there are as many groups as channels, for a mean that is large costs InstanceNormalization digits.
 */
export const centredInstanceNorm: Pick<Lowering, 'lower'> = {
  lower: (g, site) => inWideDType(g, site, (wide) => viaRows(g, wide)),
};

const isInstanceNorm = (site: GroupNormSite): boolean =>
  site.numGroups === channelsOf(site).channels && site.x.rank >= 3;

const direct = (g: Scope, site: GroupNormSite): Value => instanceNorm(g, site.x, site, site.scale, site.bias);

function viaRows(g: Scope, site: GroupNormSite): Value {
  const normalized = instanceNorm(g, toCentredRows(g, site), site, undefined, undefined);
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
