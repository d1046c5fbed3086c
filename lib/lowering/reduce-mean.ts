/** The lowering `reduce-mean`. */
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import type { FloatDType } from '../tensor.js';
import { rowMeansOf } from './row-means.js';
import { centre, channelsOf, filled, inWideDType, perChannel, perSample, runtimeRowLength } from './rows.js';
import type { GroupNormSite, Lowering } from './types.js';

/**
 * Subtracts the mean first, then sums in short runs, so that float32 does not lose digits. Reshape, ReduceMean and
 * arithmetic are operators that every runtime has; from opset 7 on, the arithmetic broadcasts.
 *
 * A mean that is large compared with the deviation has a rounding error, which grows with mean / deviation. So the mean
 * of the centred rows is taken again: it is that rounding error, small and therefore exact. Statistics of rows that are
 * shifted in this way do not cancel (Chan, Golub & LeVeque 1983). The second mean and the scale become one factor and
 * one offset for each channel of each sample, which saves passes over the data.
 */
export const reduceMeanLowering: Lowering = {
  name: 'reduce-mean',
  minOpset: 7,
  lower: (g, site, opset) => inWideDType(g, site, (wide) => normalize(g, wide, opset)),
};

function normalize(g: Scope, site: GroupNormSite, opset: number): Value {
  const means = rowMeansOf(g, site, opset);
  const centred = centre(g, site, means.of(site.x));
  const mean = means.ofCentred(centred);
  const variance = varianceOf(g, site, means.ofSquares(centred), mean);
  return scaleAndShift(g, site, centred, mean, variance);
}

/** Computes E[c²] − E[c]², which of equal numbers may be a rounding error below 0, whose root would be NaN. */
export function varianceOf(g: Scope, site: GroupNormSite, squares: Value, mean: Value): Value {
  const variance = op.sub(g, squares, op.mul(g, mean, mean));
  const [positive] = g.node('Abs', [variance], {}, [{ dtype: variance.dtype, shape: variance.shape }]);
  return site.isCorrected ? corrected(g, site, positive!) : positive!;
}

/**
 * Computes `(c − mean) / √(variance + ε) · γ + β`.
 * @param centred The centred rows c, in the shape of `x`.
 * @param mean One number a row, (N, G, 1); `variance` likewise.
 */
export function scaleAndShift(
  g: Scope,
  site: GroupNormSite,
  centred: Value,
  mean: Value,
  variance: Value,
): Value {
  const factor = scaleOverDeviation(g, site, variance);
  const scaled = op.mul(g, centred, perSample(g, site, factor));
  const offset = perSample(g, site, op.mul(g, mean, factor));
  return site.bias
    ? op.add(g, scaled, op.sub(g, perChannel(g, site, site.bias), offset))
    : op.sub(g, scaled, offset);
}

/** Computes γ / √(σ² + ε) as (N, G, C / G). */
function scaleOverDeviation(g: Scope, site: GroupNormSite, variance: Value): Value {
  const dtype = site.x.dtype as FloatDType;
  const deviation = op.sqrt(g, op.add(g, variance, filled(g, dtype, 1, site.epsilon)));
  const { channels, channelsPerGroup } = channelsOf(site);
  const scale = site.scale ?? filled(g, dtype, channels, 1);
  return op.div(g, op.reshape(g, scale, [1, site.numGroups, channelsPerGroup]), deviation);
}

/** Multiplies a variance by n ÷ (n − 1), n being the length of a row. */
function corrected(g: Scope, site: GroupNormSite, variance: Value): Value {
  const { dtype } = variance;
  const length = op.cast(g, runtimeRowLength(g, site), dtype);
  const less = op.sub(g, length, filled(g, dtype as FloatDType, 1, 1));
  return op.mul(g, variance, op.div(g, length, less));
}
