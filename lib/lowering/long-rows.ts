/** Takes means of rows of any length by short sums, so that float32 does not lose digits. */
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
 * The most terms of a float32 sum. If half of the terms are equal, as after a ReLU, a sum of 4,096 terms has a relative
 * error of 4e-6 (ONNX Runtime 1.30, x86-64), from 65,536 terms on 10 times that. If nearly all terms are equal, results
 * of the order of 20 are off by 3e-5 with sums of 4,096 terms, and by 1.5e-5 with sums of 1,024.
 */
const MAX_SUM = 1024;

/** Takes the mean of each row of (N, G, K) or (N, G, P, L), as (N, G, 1). */
export type RowMean = (rows: Value) => Value;

/** Means of rows, each (N, G, 1). */
export interface RowMeans {
  mean(): Value;
  meanOfSquares(): Value;
}

/**
 * Returns a function that takes the means of rows, for `x` or another value of its shape. Rows that are long and do not
 * split, because their length has no divisors or their sizes are names, are padded with zeros to √K sums of √K terms.
 * Padding copies the rows. So where sizes are names, the graph has both ways, and chooses at run time: sums along the
 * width, then the height, then the channels if all of these are short (the padded way then works on two elements), else
 * padded rows.
 * @param ofSquares Turns the function for a mean into the function for the mean of squares.
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
    const padding = paddingOf(g, site, length as number);
    return (value) => paddedMeans(g, split.toRows(value), padding, ofSquares);
  }
  const [parts, inner] = split.sizes;
  const perChannel = op.div(g, parts, int64(g, [channelsOf(site).channelsPerGroup]));
  const longest = max(g, perChannel, inner);
  const meanOf = channelwiseMean(g, site, perChannel);
  const [isLong] = g.node('Less', [int64(g, [MAX_SUM]), longest], {}, [{ dtype: 'bool', shape: [1] }]);
  const padding = runtimePadding(g, site, isLong!);
  return (value) => {
    const rows = split.toRows(value);
    const long = paddedMeans(g, rows, padding, ofSquares);
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
 * Takes a mean in two steps: subtracts a first mean, and adds the mean of the rest, which is near 0. A sum that grows by
 * the same number again and again is rounded the same way each time: WebAssembly sums a whole row in one float32 (ONNX
 * Runtime 1.30), with a relative error of 3e-5 for 1,000 elements of which a ReLU zeroed half.
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

/** Takes the mean of rows (N, G, P, L) in three steps: over L, over the P · G / C parts of a channel, over channels. */
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

/** How rows of K elements are padded with zeros to Q · M elements. */
interface Padding {
  /** The pads for (N · G, K): Q · M − K zeros; a negative number removes elements. */
  readonly pads: Value;
  /** The target of the Reshape: (N, G, Q, M). */
  readonly target: Value;
  /** The same as dimensions: N, G, Q, M. */
  readonly sizes: readonly [batch: Dim, groups: Dim, outer: Dim, inner: Dim];
  /** Q · M / K: corrects the mean for the zeros. */
  readonly weight: Value;
}

function paddedMeans(
  g: Scope,
  rows: Value,
  { pads, target, sizes, weight }: Padding,
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

function paddingOf(g: Scope, { x, numGroups }: GroupNormSite, length: number): Padding {
  const inner = Math.ceil(Math.sqrt(length));
  const outer = Math.ceil(length / inner);
  return {
    pads: int64(g, [0, 0, 0, outer * inner - length]),
    target: runtimeVector(g, [0, numGroups, outer, inner], { 0: runtimeSizes(g, x, 0, 1) }),
    sizes: [x.shape[0]!, numGroups, outer, inner],
    weight: filled(g, x.dtype as FloatDType, 1, (outer * inner) / length),
  };
}

/** Computes the padding at run time, with M = ⌊√K⌋ + 1. Rows that are not long are cut to two elements. */
function runtimePadding(g: Scope, site: GroupNormSite, isLong: Value): Padding {
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
