/** The input of a decomposition as rows, one a group; their means; and the way back. */
import { op, productDim, type Scope, type Value } from '../graph/index.js';
import { elementCount, int64Vector, isStatic, type Dim } from '../tensor.js';
import { channelsOf } from './groups.js';
import type { GroupNormSite } from './types.js';

/** Rows up to this length are summed in one go: a float32 sum of so few is as good as it gets. */
const MAX_UNSPLIT = 2048;

/** `x`, or another value of its elements, as (N, G, K), K = C / G · spatial size. */
export function toRows(g: Scope, site: GroupNormSite, value: Value = site.x): Value {
  const { x, numGroups } = site;
  const { channelsPerGroup } = channelsOf(site);
  const spatial = x.shape.slice(2);
  if (isStatic(spatial))
    return op.reshape(g, value, [0, numGroups, channelsPerGroup * elementCount(spatial)]);
  const term = { from: 2, to: x.rank, factors: [0, 0, channelsPerGroup] };
  const target = runtimeTarget(g, x, [0, numGroups, 0], [term]);
  return reshapeTo(g, value, target, [numGroups, productDim([channelsPerGroup, ...spatial])]);
}

/**
 * Centred rows, (N, G, K), for the normalizations that sum a whole row in one float32 (ONNX Runtime's
 * InstanceNormalization and LayerNormalization): a mean that is not 0 costs them digits, in the mean itself and
 * in E[x²] − E[x]². Their variance is still one float32 sum, which for rows of 2.6·10⁵ elements after a ReLU was
 * seen to cost 5e-4: `reduce-mean`, which sums in two steps, is the one for long rows.
 */
export const toCentredRows = (g: Scope, site: GroupNormSite): Value =>
  toRows(g, site, centre(g, toSplitRows(g, site)));

/**
 * `x` as (N, G, R, L), R · L = C / G · spatial size, so that a mean can be taken in two steps. A float32 sum
 * loses about as many bits as its length has; two short ones lose fewer. Rows that are short stay (N, G, K).
 */
export function toSplitRows(g: Scope, site: GroupNormSite): Value {
  const { x, numGroups } = site;
  const { channelsPerGroup } = channelsOf(site);
  const spatial = x.shape.slice(2);
  if (isStatic(spatial)) {
    const length = channelsPerGroup * elementCount(spatial);
    const inner = length > MAX_UNSPLIT ? balancedDivisor(length) : length;
    return op.reshape(
      g,
      x,
      inner === length ? [0, numGroups, length] : [0, numGroups, length / inner, inner],
    );
  }
  const last = x.rank - 1;
  const innermost = { from: last, to: x.rank, factors: [0, 0, 0, 1] };
  const target =
    last === 2
      ? runtimeTarget(g, x, [0, numGroups, channelsPerGroup, 0], [innermost])
      : runtimeTarget(
          g,
          x,
          [0, numGroups, 0, 0],
          [{ from: 2, to: last, factors: [0, 0, channelsPerGroup, 0] }, innermost],
        );
  return reshapeTo(g, x, target, [
    numGroups,
    productDim([channelsPerGroup, ...spatial.slice(0, -1)]),
    x.shape[last]!,
  ]);
}

/** Rows back in the site's shape. */
export function fromRows(g: Scope, { x }: GroupNormSite, rows: Value): Value {
  const [batch, ...rest] = x.shape;
  if (isStatic(rest)) return op.reshape(g, rows, [0, ...rest], { outputShape: [batch!, ...rest] });
  return op.reshape(g, rows, op.shape(g, x), { outputShape: x.shape });
}

/** The mean of each row, as (N, G, 1) or (N, G, 1, 1): innermost parts first, which lie side by side in memory. */
export function rowMean(g: Scope, rows: Value): Value {
  let mean = rows;
  for (let axis = rows.rank - 1; axis >= 2; axis--) mean = op.reduceMean(g, mean, { axes: [axis] });
  return mean;
}

/** Each row less its mean. */
export const centre = (g: Scope, rows: Value): Value => op.sub(g, rows, rowMean(g, rows));

/** The product of the sizes of `x`'s axes `from` to `to` − 1, which enters each dimension with a factor. */
interface Term {
  readonly from: number;
  readonly to: number;
  readonly factors: readonly number[];
}

/**
 * A target shape that is computed from `x`'s, because Reshape's −1 cannot be inferred when the batch is empty.
 * Sums of products and not a Concat, which ONNX Runtime would fuse into a Reshape with −1.
 */
function runtimeTarget(g: Scope, x: Value, fixed: readonly number[], terms: readonly Term[]): Value {
  const sizes = op.shape(g, x);
  let target = int64(g, fixed);
  for (const { from, to, factors } of terms) {
    const product = op.reduceProd(g, op.slice(g, sizes, { starts: [from], ends: [to], axes: [0] }), {
      axes: [0],
    });
    target = op.add(g, target, op.mul(g, product, int64(g, factors)));
  }
  return target;
}

const reshapeTo = (g: Scope, x: Value, target: Value, inner: readonly Dim[]): Value =>
  op.reshape(g, x, target, { outputShape: [x.shape[0]!, ...inner] });

/** The largest divisor of `length` that is not above its square root. */
function balancedDivisor(length: number): number {
  for (let divisor = Math.floor(Math.sqrt(length)); divisor > 1; divisor--) {
    if (length % divisor === 0) return length / divisor;
  }
  return length;
}

const int64 = (g: Scope, values: readonly number[]): Value => g.constant(int64Vector(values));
