import { op, type Scope, type Value } from '../graph/index.js';
import type { FloatDType } from '../tensor.js';
import {
  affine,
  centre,
  channelsOf,
  filled,
  fromGroups,
  inWideDType,
  perChannel,
  rowMean,
  toGroups,
} from './groups.js';
import type { GroupNormSite, Lowering } from './types.js';

/**
 * Reshape and ReduceMean: operators that every runtime has had since opset 13.
 *
 * The rows are centred twice, because a mean that is large against the deviation is itself rounded: the mean
 * of what the first subtraction leaves is that rounding error, and it is small and so exact. This is the
 * correction of the two-pass algorithm (Chan, Golub & LeVeque 1983) applied to the values themselves; without
 * it the error grows with mean / deviation. The scale is folded into the reciprocal deviation on the small
 * (N, G, C/G) tensor, which saves one pass over the data and pays for the second centring.
 */
export const reduceMeanLowering: Lowering = {
  name: 'reduce-mean',
  minOpset: 13,
  lower: (g, site) => inWideDType(g, site, (wide) => normalize(g, wide)),
};

function normalize(g: Scope, site: GroupNormSite): Value {
  const centred = centre(g, centre(g, toGroups(g, site)));
  const variance = rowMean(g, op.mul(g, centred, centred));
  const epsilon = filled(g, site.x.dtype as FloatDType, 1, site.epsilon);
  const deviation = op.sqrt(g, op.add(g, variance, epsilon));
  if (!site.scale) return affine(g, site, fromGroups(g, site, op.div(g, centred, deviation)));
  const factor = scaleOverDeviation(g, site, site.scale, deviation);
  const scaled = op.mul(g, fromGroups(g, site, centred), factor);
  return site.bias ? op.add(g, scaled, perChannel(g, site, site.bias)) : scaled;
}

/** γ / σ as (N, C, 1, ...): one factor for each channel of each sample. */
function scaleOverDeviation(g: Scope, site: GroupNormSite, scale: Value, deviation: Value): Value {
  const { channels, channelsPerGroup } = channelsOf(site);
  const perGroup = op.reshape(g, scale, [1, site.numGroups, channelsPerGroup]);
  const factor = op.div(g, perGroup, deviation);
  const target = [0, channels, ...Array<number>(site.x.rank - 2).fill(1)];
  return op.reshape(g, factor, target);
}
