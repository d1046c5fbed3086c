/**
 * `reduce-mean` for sessions on ONNX Runtime's CPU kernels, where the length of a row is a name. How rows are summed in float32
 * without a loss of digits depends on their sizes, so that Ifs choose when the model runs:
 *
 *     short rows:                     x − mean → InstanceNormalization
 *     short planes, one of a channel: x − mean → (x − mean) / deviation, by means of planes and then of channels
 *     short axes:                     the same, by means along one axis after the other
 *     other rows:                     the same, by means in float64
 *
 * γ and β follow. A runtime that sums a row in one float32 has the last alone. Rows are (N, G, C / G, ...), or x itself where each
 * channel is a group: a Reshape between these needs no size that is a name, and takes empty inputs. It stands outside of the
 * branches, whose results ONNX Runtime would copy for it.
 */
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import type { FloatDType } from '../tensor.js';
import { varianceOf } from './reduce-mean.js';
import { MAX_SUM } from './row-means.js';
import { affineInOneNode, axesFrom, channelsOf, filled, int64, runtimeSizes } from './rows.js';
import type { FloatSums, GroupNormSite } from './types.js';

/** The first opset whose Clip takes integers, by which rows of 1 to n elements are told. */
const CLIP_OPSET = 12;

/** The most elements of a plane that are summed in one go: what is added up at last are the means of planes, which differ. */
const MAX_PLANE = 4096;

/** Takes the mean of each row, (N, G, 1, 1, ...). */
type RowMean = (g: Scope, rows: Value) => Value;

/** Returns the result of a site on a runtime with such sums. */
export function normalizeNamed(g: Scope, site: GroupNormSite, opset: number, sums: FloatSums): Value {
  const rows = toRows(g, site);
  return affineInOneNode(g, site, fromRows(g, site, normalized(g, site, rows, opset, sums)));
}

function normalized(g: Scope, site: GroupNormSite, rows: Value, opset: number, sums: FloatSums): Value {
  const { x, isCorrected } = site;
  const { channelsPerGroup } = channelsOf(site);
  const byMeans = (mean: RowMean) => () => divided(g, site, rows, mean);
  if (x.dtype === 'float64') return byMeans(wholeMean)();
  if (sums.areInOneFloat || opset < CLIP_OPSET || channelsPerGroup > MAX_SUM) return byMeans(wideMean)();
  const sizes = runtimeSizes(g, x, 2, x.rank);
  const area = op.reduceProd(g, sizes, { axes: [0] });
  const bySums = () =>
    g.branch(isAtMost(g, area, MAX_PLANE), byMeans(planeMean), () =>
      g.branch(isAtMost(g, longest(g, sizes), MAX_SUM), byMeans(axisMean), byMeans(wideMean)),
    );
  const maxArea = isCorrected ? 0 : Math.floor(sums.maxShortRow / channelsPerGroup);
  if (maxArea === 0) return bySums();
  return g.branch(isFromOneTo(g, area, maxArea), () => byInstanceNorm(g, site, rows), bySums);
}

const longest = (g: Scope, sizes: Value): Value =>
  g.node('ReduceMax', [sizes], {}, [{ dtype: 'int64', shape: [1] }])[0]!;

const isAtMost = (g: Scope, size: Value, limit: number): Value =>
  g.node('Less', [size, int64(g, [limit + 1])], {}, [{ dtype: 'bool', shape: [1] }])[0]!;

/** ONNX Runtime 1.30 crashes on InstanceNormalization of rows without elements. */
function isFromOneTo(g: Scope, size: Value, limit: number): Value {
  const bounds = [1, limit].map((bound) => op.squeeze(g, int64(g, [bound]), { axes: [0] }));
  const [clipped] = g.node('Clip', [size, ...bounds], {}, [{ dtype: 'int64', shape: [1] }]);
  return g.node('Equal', [size, clipped!], {}, [{ dtype: 'bool', shape: [1] }])[0]!;
}

/** Centres rows first: InstanceNormalization takes the rounding error of that mean out again. */
function byInstanceNorm(g: Scope, { x, numGroups, epsilon }: GroupNormSite, rows: Value): Value {
  const centred = op.sub(g, rows, wholeMean(g, rows));
  const [ones, zeros] = [1, 0].map((value) => filled(g, x.dtype as FloatDType, numGroups, value));
  return op.instanceNormalization(g, centred, ones!, zeros!, { epsilon });
}

/** Centres rows twice, as the form for files does, and divides them by their deviation: see `reduceMeanLowering`. */
function divided(g: Scope, site: GroupNormSite, rows: Value, meanOf: RowMean): Value {
  const centred = op.sub(g, rows, meanOf(g, rows));
  const mean = meanOf(g, centred);
  const variance = varianceOf(g, site, meanOf(g, op.mul(g, centred, centred)), mean);
  const epsilon = filled(g, rows.dtype as FloatDType, 1, site.epsilon);
  const deviation = op.sqrt(g, op.add(g, variance, epsilon));
  return op.mul(g, op.sub(g, centred, mean), op.div(g, filled(g, rows.dtype as FloatDType, 1, 1), deviation));
}

const wholeMean: RowMean = (g, rows) => meanFrom(g, rows, 2);
const planeMean: RowMean = (g, rows) => wholeMean(g, meanFrom(g, rows, 3));

/** Sums along the last axis, then along that before it, and along the first axis of a plane together with the channels. */
const axisMean: RowMean = (g, rows) =>
  wholeMean(
    g,
    axesFrom(rows.rank > 4 ? 4 : 3, rows.rank).reduceRight((means, axis) => meanFrom(g, means, axis), rows),
  );

/** Sums in float64. */
const wideMean: RowMean = (g, rows) => op.cast(g, wholeMean(g, op.cast(g, rows, 'float64')), rows.dtype);

/**
 * Takes the mean over all axes from `axis` on, if there are any. ONNX Runtime has fast sums along the last axes only, so that an
 * axis of size 1 stays.
 */
const meanFrom = (g: Scope, value: Value, axis: number): Value =>
  axis < value.rank ? op.reduceMean(g, value, { axes: axesFrom(axis, value.rank) }) : value;

/** Makes (N, C, ...) rows. */
function toRows(g: Scope, site: GroupNormSite): Value {
  const { x, numGroups } = site;
  const { channelsPerGroup } = channelsOf(site);
  if (channelsPerGroup === 1) return x;
  return op.reshape(g, op.unsqueeze(g, x, { axes: [1] }), [0, numGroups, channelsPerGroup, ...spatialOf(x)]);
}

/** Makes rows (N, C, ...) again. */
function fromRows(g: Scope, site: GroupNormSite, rows: Value): Value {
  const { channels, channelsPerGroup } = channelsOf(site);
  if (channelsPerGroup === 1) return rows;
  return op.squeeze(g, op.reshape(g, rows, [0, 1, channels, ...spatialOf(site.x)]), { axes: [1] });
}

/** In the target of a Reshape a 0 is the input's size in that place. */
const spatialOf = (x: Value): number[] => Array<number>(x.rank - 2).fill(0);
