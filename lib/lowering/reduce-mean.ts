import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import type { FloatDType } from '../tensor.js';
import { inTwoSteps, type RowMean, type RowMeans, rowMeansOf } from './long-rows.js';
import { centre, channelsOf, filled, inWideDType, perChannel, perSample } from './rows.js';
import type { GroupNormSite, Lowering } from './types.js';

/**
 * Reshape and ReduceMean: operators that every runtime has had since opset 13.
 *
 * A mean that is large against the deviation is itself rounded, and the error grows with mean / deviation. So the
 * rows are centred and their mean is taken again: what it is now is that rounding error, which is small and so
 * exact. Statistics of rows so shifted do not cancel (Chan, Golub & LeVeque 1983). The second mean and the scale
 * go into one factor and one offset for each channel of each sample, which saves passes over the data.
 */
export const reduceMeanLowering: Lowering = {
  name: 'reduce-mean',
  minOpset: 13,
  lower: byRowMeans(() => (meanOf) => meanOf),
};

/** The same for a runtime that adds up a whole row in one float32: the variance is taken in two steps as well. */
export const carefulReduceMeanLowering: Pick<Lowering, 'lower'> = {
  lower: byRowMeans(inTwoSteps),
};

/** @param ofSquares How the mean of squares is taken, out of what takes a mean. */
function byRowMeans(ofSquares: (g: Scope) => (meanOf: RowMean) => RowMean): Lowering['lower'] {
  return (g, site) => inWideDType(g, site, (wide) => normalize(g, wide, rowMeansOf(g, wide, ofSquares(g))));
}

function normalize(g: Scope, site: GroupNormSite, meansOf: (value: Value) => RowMeans): Value {
  const centred = centre(g, site, meansOf(site.x).mean());
  const means = meansOf(centred);
  const mean = means.mean();
  const variance = abs(g, op.sub(g, means.meanOfSquares(), op.mul(g, mean, mean)));
  const factor = scaleOverDeviation(g, site, variance);
  const scaled = op.mul(g, centred, perSample(g, site, factor));
  const offset = perSample(g, site, op.mul(g, mean, factor));
  return site.bias
    ? op.add(g, scaled, op.sub(g, perChannel(g, site, site.bias), offset))
    : op.sub(g, scaled, offset);
}

/** γ / √(σ² + ε) as (N, G, C / G). */
function scaleOverDeviation(g: Scope, site: GroupNormSite, variance: Value): Value {
  const dtype = site.x.dtype as FloatDType;
  const deviation = op.sqrt(g, op.add(g, variance, filled(g, dtype, 1, site.epsilon)));
  const { channels, channelsPerGroup } = channelsOf(site);
  const scale = site.scale ?? filled(g, dtype, channels, 1);
  return op.div(g, op.reshape(g, scale, [1, site.numGroups, channelsPerGroup]), deviation);
}

/** The variance of equal numbers may come out a rounding error below 0, which must not make NaN of a root. */
const abs = (g: Scope, x: Value): Value => g.node('Abs', [x], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;
