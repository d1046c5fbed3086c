/** Takes means of rows of any length by short sums, so that float32 does not lose digits. */
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import {
  axesFrom,
  centre,
  channelsOf,
  int64,
  rowLength,
  rowMean,
  runtimeSizes,
  splitLength,
  toSplitRows,
  where,
} from './rows.js';
import type { GroupNormSite } from './types.js';

/**
 * The most terms of a float32 sum. If half of the terms are equal, as after a ReLU, a sum of 4,096 terms has a relative
 * error of 4e-6 (ONNX Runtime 1.30, x86-64), from 65,536 terms on 10 times that. If nearly all terms are equal, results
 * of the order of 20 are off by 3e-5 with sums of 4,096 terms, and by 1.5e-5 with sums of 1,024.
 */
export const MAX_SUM = 1024;

/** The end of a Slice that takes all elements of an axis. */
const ALL = 2 ** 31 - 1;

/** Means of the rows of values that have the shape of the site's `x`. Each result is (N, G, 1). */
export interface RowMeans {
  of(value: Value): Value;
  /** The mean of centred rows. It is near 0, so that a long sum of them loses nothing that matters. */
  ofCentred(value: Value): Value;
  ofSquares(value: Value): Value;
}

/** Returns the means of a site's rows. */
export const rowMeansOf = (g: Scope, site: GroupNormSite, opset: number): RowMeans =>
  splitsEvenly(site) ? splitMeans(g, site) : axisMeans(g, site, opset);

/**
 * Subtracts the mean of each row from `x`, for ONNX Runtime's InstanceNormalization and LayerNormalization, which sum a
 * whole row in one float32: a mean far from 0 costs them digits, in the mean itself and in E[x²] − E[x]². Their
 * variance is still one float32 sum, and the longer the row, the fewer of its digits are right.
 */
export const centred = (g: Scope, site: GroupNormSite, opset: number): Value =>
  centre(g, site, rowMeansOf(g, site, opset).of(site.x));

/** Returns whether rows are short, or have a length that is known and divides into short sums, or no axes but channels. */
export function splitsEvenly(site: GroupNormSite): boolean {
  if (site.x.rank === 2) return true;
  const length = rowLength(site);
  if (typeof length !== 'number') return false;
  return splitLength(length).at(-1)! <= Math.max(MAX_SUM, 2 * Math.sqrt(length));
}

/** Splits rows into (N, G, P, L), and takes means over L, then over P. */
function splitMeans(g: Scope, site: GroupNormSite): RowMeans {
  const of = (value: Value): Value => rowMean(g, toSplitRows(g, site, value));
  return {
    of,
    ofCentred: of,
    ofSquares(value) {
      const rows = toSplitRows(g, site, value);
      return rowMean(g, op.mul(g, rows, rows));
    },
  };
}

/**
 * Takes means along the width, then along the other spatial axes, then over the channels of a group. No size needs to be
 * known for that. Where an axis is long, the mean is corrected by the mean of what is left after it is subtracted: that is
 * near 0, so that a long sum of it loses nothing that matters.
 */
function axisMeans(g: Scope, site: GroupNormSite, opset: number): RowMeans {
  const { x, numGroups } = site;
  const { channelsPerGroup } = channelsOf(site);
  const spatial = axesFrom(2, x.rank);
  const ifLong: OfLongAxes =
    opset < SLICE_INPUTS_OPSET ? (value, correction) => correction(value) : correctionOfLongAxes(g, x);

  /** Takes the mean over axes, which are dropped, as ONNX Runtime is slower if they stay. */
  const meanOver = (axes: readonly number[], value: Value): Value =>
    axes.length === 0 ? value : op.reduceMean(g, value, { axes, keepdims: false });
  const overWidthFirst = (value: Value): Value =>
    meanOver(spatial.slice(0, -1), meanOver(spatial.slice(-1), value));
  const ofGroups = (means: Value): Value =>
    op.reduceMean(g, op.reshape(g, means, [0, numGroups, channelsPerGroup]), { axes: [2] });

  /** Takes a mean whose error is that of a sum along an axis of at most MAX_SUM elements. */
  function accurate(value: Value): Value {
    const first = overWidthFirst(value);
    const fitted = op.unsqueeze(g, first, { axes: spatial });
    return op.add(
      g,
      first,
      ifLong(value, (part) => meanOver(spatial, op.sub(g, part, fitted))),
    );
  }

  return {
    of: (value) => ofGroups(accurate(value)),
    ofCentred: (value) => ofGroups(meanOver(spatial, value)),
    ofSquares: (value) => ofGroups(accurate(op.mul(g, value, value))),
  };
}

/** Computes a correction where a spatial axis is long. */
type OfLongAxes = (value: Value, correction: (part: Value) => Value) => Value;

/**
 * The first opset whose Slice takes its ends at run time. Below it, short axes are corrected as well, which costs two more
 * passes over the data.
 */
const SLICE_INPUTS_OPSET = 10;

/**
 * Returns a function that computes a correction where a spatial axis is long, which is known at run time only. Where all
 * are short, the correction must cost little: it is computed for one element, and multiplied by 0.
 */
function correctionOfLongAxes(g: Scope, x: Value): OfLongAxes {
  const axes = x.shape.map((_, axis) => axis);
  const forEachAxis = (size: number) => int64(g, Array<number>(x.rank).fill(size));
  const [longest] = g.node('ReduceMax', [runtimeSizes(g, x, 2, x.rank)], {}, [
    { dtype: 'int64', shape: [1] },
  ]);
  const [isLong] = g.node('Less', [int64(g, [MAX_SUM]), longest!], {}, [{ dtype: 'bool', shape: [1] }]);
  // One element of each channel, not of the whole input: 0 · NaN is NaN, which must stay in its own channel.
  const ofEachChannel = int64(
    g,
    axes.map((axis) => (axis < 2 ? ALL : 1)),
  );
  const end = where(g, isLong!, forEachAxis(ALL), ofEachChannel);
  const weight = op.cast(g, isLong!, x.dtype);
  return (value, correction) => {
    const shape = value.shape.map((dim) => `part(${String(dim)})`);
    const inputs = [value, forEachAxis(0), end, int64(g, axes)];
    const [part] = g.node('Slice', inputs, {}, [{ dtype: value.dtype, shape }]);
    return op.mul(g, correction(part!), weight);
  };
}
