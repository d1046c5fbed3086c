/** Means of rows of any length, by sums that are all short. */
import type { Scope } from '../graph/builder.js';
import { productDim } from '../shapes/dims.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import type { Dim, FloatDType } from '../tensor.js';
import {
  channelsOf,
  filled,
  int64,
  max,
  rowLength,
  rowMean,
  runtimeRowLength,
  runtimeSizes,
  runtimeVector,
  sizeName,
  splitLength,
  splitRows,
  where,
} from './rows.js';
import type { GroupNormSite } from './types.js';

/**
 * The longest float32 sum. Sums of 4,096 are off by 4e-6 of themselves where half of the terms are the same, as
 * after a ReLU (ONNX Runtime 1.30, x86-64), and by 10 times that from 65,536 on. Where nearly all are, sums of
 * 4,096 made results wrong by 3e-5, and sums of 1,024 by 1.5e-5 where they are of the order of 20.
 */
const MAX_SUM = 1024;

/** The mean of each row of (N, G, K) or (N, G, P, L), as (N, G, 1). */
export type RowMean = (rows: Value) => Value;

/** Means of rows, each (N, G, 1). */
export interface RowMeans {
  mean(): Value;
  meanOfSquares(): Value;
}

/**
 * How to take means of the rows of `x`, or of another value of its shape. Rows that are long and do not split,
 * because their length has no divisors or their sizes are names, are filled up with zeros to √K sums of √K. That
 * copies them, so that of names both ways are in the graph: where the sums come out short, the second has next
 * to nothing to do. Short are those of an image: along its width, then its height, then the channels.
 * @param ofSquares Makes what takes the mean of the squares out of what takes a mean.
 */
export function rowMeansOf(
  g: Scope,
  site: GroupNormSite,
  ofSquares: (meanOf: RowMean) => RowMean,
): (value: Value) => RowMeans {
  const length = rowLength(site);
  const split = splitRows(g, site);
  if (!split.sizes) {
    const longest = splitLength(length as number).at(-1)!;
    if (longest <= Math.max(MAX_SUM, 2 * Math.sqrt(length as number)))
      return (value) => shortMeans(g, split.toRows(value), wholeMean(g), ofSquares);
    const filling = fillKnown(g, site, length as number);
    return (value) => filledMeans(g, split.toRows(value), filling, ofSquares);
  }
  const [parts, inner] = split.sizes;
  const perChannel = op.div(g, parts, int64(g, [channelsOf(site).channelsPerGroup]));
  const longest = max(g, perChannel, inner);
  const meanOf = channelwiseMean(g, site, perChannel);
  const [isLong] = g.node('Less', [int64(g, [MAX_SUM]), longest], {}, [{ dtype: 'bool', shape: [1] }]);
  const filling = fillNamed(g, site, isLong!);
  return (value) => {
    const rows = split.toRows(value);
    const long = filledMeans(g, rows, filling, ofSquares);
    const short = shortMeans(g, rows, meanOf, ofSquares);
    return {
      mean: () => where(g, isLong!, long.mean(), short.mean()),
      meanOfSquares: () => where(g, isLong!, long.meanOfSquares(), short.meanOfSquares()),
    };
  };
}

const wholeMean =
  (g: Scope): RowMean =>
  (rows) =>
    rowMean(g, rows);

/**
 * A mean in two steps: that of what is left once a first one is taken off, which adds up to next to nothing. A sum
 * that grows by the same number again and again is rounded the same way each time; WebAssembly's has one float32 for
 * a whole row (ONNX Runtime 1.30), and is off by 3e-5 of itself at 1,000 elements of which a ReLU left half.
 */
export const inTwoSteps =
  (g: Scope) =>
  (meanOf: RowMean): RowMean =>
  (rows) => {
    const first = meanOf(rows);
    const fitted = rows.rank === 4 ? op.reshape(g, first, [0, 0, 1, 1]) : first;
    return op.add(g, first, meanOf(op.sub(g, rows, fitted)));
  };

const shortMeans = (
  g: Scope,
  rows: Value,
  meanOf: RowMean,
  ofSquares: (meanOf: RowMean) => RowMean,
): RowMeans => ({
  mean: () => meanOf(rows),
  meanOfSquares: () => ofSquares(meanOf)(op.mul(g, rows, rows)),
});

/** The mean of rows (N, G, P, L) in three steps: of L, of the P · G / C means in a channel, of the channels. */
function channelwiseMean(g: Scope, site: GroupNormSite, perChannel: Value): RowMean {
  const { channels, channelsPerGroup } = channelsOf(site);
  const batch = site.x.shape[0]!;
  const outputShape = [batch, channels, sizeName(site, 'means')];
  const target = runtimeVector(g, [0, channels, 0], { 2: perChannel });
  return (rows) => {
    const means = op.reduceMean(g, rows, { axes: [3], keepdims: false });
    const ofChannels = op.reduceMean(g, op.reshape(g, means, target, { outputShape }), {
      axes: [2],
      keepdims: false,
    });
    return op.reduceMean(g, op.reshape(g, ofChannels, [0, site.numGroups, channelsPerGroup]), { axes: [2] });
  };
}

/** Rows that zeros fill up from K to Q · M elements. */
interface Filling {
  /** Pad's, for (N · G, K): Q · M − K zeros, or where that is below 0 as many elements fewer. */
  readonly pads: Value;
  /** Reshape's target: (N, G, Q, M). */
  readonly target: Value;
  readonly sizes: readonly [batch: Dim, groups: Dim, outer: Dim, inner: Dim];
  /** Q · M / K: makes the mean with the zeros that without. */
  readonly weight: Value;
}

function filledMeans(
  g: Scope,
  rows: Value,
  { pads, target, sizes, weight }: Filling,
  ofSquares: (meanOf: RowMean) => RowMean,
): RowMeans {
  const flat = op.flatten(g, rows, { axis: 2 });
  const shape = [flat.shape[0]!, productDim(sizes.slice(2))];
  const [whole] = g.node('Pad', [flat, pads], {}, [{ dtype: rows.dtype, shape }]);
  const parts = op.reshape(g, whole!, target, { outputShape: sizes });
  return {
    mean: () => op.mul(g, rowMean(g, parts), weight),
    meanOfSquares: () => op.mul(g, ofSquares(wholeMean(g))(op.mul(g, parts, parts)), weight),
  };
}

function fillKnown(g: Scope, { x, numGroups }: GroupNormSite, length: number): Filling {
  const inner = Math.ceil(Math.sqrt(length));
  const outer = Math.ceil(length / inner);
  return {
    pads: int64(g, [0, 0, 0, outer * inner - length]),
    target: runtimeVector(g, [0, numGroups, outer, inner], { 0: runtimeSizes(g, x, 0, 1) }),
    sizes: [x.shape[0]!, numGroups, outer, inner],
    weight: filled(g, x.dtype as FloatDType, 1, (outer * inner) / length),
  };
}

/** The same at run time, with M = ⌊√K⌋ + 1; and two elements of rows that are not long. */
function fillNamed(g: Scope, site: GroupNormSite, isLong: Value): Filling {
  const { x, numGroups } = site;
  const length = runtimeRowLength(g, site);
  const divided = where(g, isLong, length, int64(g, [1]));
  const root = op.cast(g, op.sqrt(g, op.cast(g, divided, 'float32')), 'int64');
  const inner = op.add(g, root, int64(g, [1]));
  const outer = op.div(g, op.add(g, divided, root), inner);
  const both = op.mul(g, outer, inner);
  const batch = runtimeSizes(g, x, 0, 1);
  const float = (size: Value): Value => op.cast(g, size, x.dtype);
  return {
    pads: runtimeVector(g, [0, 0, 0, 0], { 3: op.sub(g, both, length) }),
    target: runtimeVector(g, [0, numGroups, 0, 0], { 0: batch, 2: outer, 3: inner }),
    sizes: [x.shape[0]!, numGroups, sizeName(site, 'sums'), sizeName(site, 'terms')],
    weight: op.div(g, float(both), float(length)),
  };
}
