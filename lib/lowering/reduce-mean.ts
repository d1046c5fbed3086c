import { op, type Scope, type Value } from '../graph/index.js';
import type { FloatDType } from '../tensor.js';
import { affine, channelsOf, filled, inWideDType, perChannel } from './groups.js';
import { centre, fromRows, rowMean, toSplitRows } from './rows.js';
import type { GroupNormSite, Lowering } from './types.js';

/**
 * Reshape and ReduceMean: operators that every runtime has had since opset 13.
 *
 * The rows are centred twice, because a mean that is large against the deviation is itself rounded: the mean
 * of what the first subtraction leaves is that rounding error, and it is small and so exact. This is the
 * correction of the two-pass algorithm (Chan, Golub & LeVeque 1983) applied to the values themselves; without
 * it the error grows with mean / deviation. The scale is folded into the reciprocal deviation on a small
 * tensor, which saves one pass over the data and pays for the second centring.
 */
export const reduceMeanLowering: Lowering = {
  name: 'reduce-mean',
  minOpset: 13,
  lower: (g, site) => inWideDType(g, site, (wide) => normalize(g, wide)),
};

function normalize(g: Scope, site: GroupNormSite): Value {
  const centred = centre(g, centre(g, toSplitRows(g, site)));
  const variance = rowMean(g, op.mul(g, centred, centred));
  const epsilon = filled(g, site.x.dtype as FloatDType, 1, site.epsilon);
  const deviation = op.sqrt(g, op.add(g, variance, epsilon));
  if (!site.scale) return affine(g, site, fromRows(g, site, op.div(g, centred, deviation)));
  const factor = scaleOverDeviation(g, site, site.scale, deviation);
  const scaled = op.mul(g, fromRows(g, site, centred), factor);
  return site.bias ? op.add(g, scaled, perChannel(g, site, site.bias)) : scaled;
}

/** γ / σ as (N, C, 1, ...): one factor for each channel of each sample. */
function scaleOverDeviation(g: Scope, site: GroupNormSite, scale: Value, deviation: Value): Value {
  const { channels, channelsPerGroup } = channelsOf(site);
  const trailing = (count: number) => Array<number>(count).fill(1);
  const perGroup = op.reshape(g, scale, [
    1,
    site.numGroups,
    channelsPerGroup,
    ...trailing(deviation.rank - 3),
  ]);
  return op.reshape(g, op.div(g, perGroup, deviation), [0, channels, ...trailing(site.x.rank - 2)]);
}
