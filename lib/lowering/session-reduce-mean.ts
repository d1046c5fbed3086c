/**
 * `reduce-mean` in the form for sessions on ONNX Runtime's CPU kernels, onnxruntime-node's and WebAssembly's. It centres
 * the rows first, as the form for files does, and leaves the rest to the kernels for normalizations:
 *
 *     short rows: x − mean → InstanceNormalization → γ and β
 *     other rows: x − mean → the statistics of what is left, in short sums → BatchNormalization, or Mul and Add
 *
 * Where sizes are names, an If chooses when the model runs. Files do not have this form: other runtimes take constants only
 * as the statistics of BatchNormalization, or do not have If.
 */
import { float } from '../graph/attr.js';
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import { elementCount, type FloatDType, isStatic } from '../tensor.js';
import { scaleAndShift, varianceOf } from './reduce-mean.js';
import { MAX_SUM, splitsEvenly } from './row-means.js';
import {
  affine,
  alongRows,
  axesFrom,
  channelsOf,
  filled,
  inWideDType,
  int64,
  rowLength,
  rowMean,
  runtimeSizes,
  splitLength,
} from './rows.js';
import type { GroupNormSite, LoweringForm } from './types.js';

/** What float32 sums of a runtime are good for. */
export interface FloatSums {
  /** The longest row that is summed by InstanceNormalization. */
  readonly maxShortRow: number;
  /** Whether a whole row is summed in one float32, so that the mean of squares is taken in two steps. */
  readonly areInOneFloat: boolean;
}

/**
 * Returns the form for a runtime.
 * @param onNamedLength Is called for each site whose rows have a length that is known only when the model runs.
 */
export const sessionReduceMean = (sums: FloatSums, onNamedLength: () => void): LoweringForm => ({
  lower(g, site, opset) {
    if (typeof rowLength(site) !== 'number') onNamedLength();
    return inWideDType(g, site, (wide) => normalize(g, wide, opset, sums));
  },
});

/** The first opset whose Clip takes integers, by which rows of 1 to n elements are told. Below it, rows count as long. */
const CLIP_OPSET = 12;

function normalize(g: Scope, site: GroupNormSite, opset: number, sums: FloatSums): Value {
  const { x } = site;
  const length = rowLength(site);
  const maxShort = x.dtype === 'float32' && !site.isCorrected ? sums.maxShortRow : 0;
  const byStatistics = (areLong: boolean) => statisticsForm(g, site, opset, areLong, sums.areInOneFloat);
  if (typeof length === 'number') {
    return length <= maxShort ? shortForm(g, site) : byStatistics(!splitsEvenly(site));
  }
  const { channelsPerGroup } = channelsOf(site);
  if (opset < CLIP_OPSET || channelsPerGroup > MAX_SUM) return byStatistics(true);
  const sizes = runtimeSizes(g, x, 2, x.rank);
  const bySize = () =>
    g.branch(
      isAbove(g, sizes, MAX_SUM),
      () => byStatistics(true),
      () => byStatistics(false),
    );
  const maxArea = Math.floor(maxShort / channelsPerGroup);
  return maxArea === 0 ? bySize() : g.branch(hasArea(g, sizes, maxArea), () => shortForm(g, site), bySize);
}

/** Returns whether a size is above `limit`. */
function isAbove(g: Scope, sizes: Value, limit: number): Value {
  const [longest] = g.node('ReduceMax', [sizes], {}, [{ dtype: 'int64', shape: [1] }]);
  return g.node('Less', [int64(g, [limit]), longest!], {}, [{ dtype: 'bool', shape: [1] }])[0]!;
}

/** Returns whether the product of the sizes is from 1 to `limit`. ONNX Runtime 1.30 crashes on rows without elements. */
function hasArea(g: Scope, sizes: Value, limit: number): Value {
  const area = op.reduceProd(g, sizes, { axes: [0] });
  const bounds = [1, limit].map((bound) => op.squeeze(g, int64(g, [bound]), { axes: [0] }));
  const [clipped] = g.node('Clip', [area, ...bounds], {}, [{ dtype: 'int64', shape: [1] }]);
  return g.node('Equal', [area, clipped!], {}, [{ dtype: 'bool', shape: [1] }])[0]!;
}

/** Centres rows and normalizes them by InstanceNormalization, which takes the rounding error of the first mean out again. */
function shortForm(g: Scope, site: GroupNormSite): Value {
  const { x, scale, bias, numGroups, epsilon } = site;
  const length = rowLength(site);
  const ofChannels = channelsOf(site).channelsPerGroup === 1 && x.rank > 2;
  const rows = ofChannels ? x : toRows(g, site, typeof length === 'number' ? [length] : undefined);
  const centred = op.sub(g, rows, op.reduceMean(g, rows, { axes: axesFrom(2, rows.rank) }));
  const neutral = (value: number) => filled(g, x.dtype as FloatDType, numGroups, value);
  if (ofChannels)
    return op.instanceNormalization(g, centred, scale ?? neutral(1), bias ?? neutral(0), { epsilon });
  const normalized = op.instanceNormalization(g, centred, neutral(1), neutral(0), { epsilon });
  return affineInOneNode(g, site, fromRows(g, site, normalized));
}

/** Computes `y · γ + β` as a BatchNormalization of mean 0 and variance 1, which passes over the data once. */
function affineInOneNode(g: Scope, site: GroupNormSite, y: Value): Value {
  const { x, scale, bias } = site;
  if (!scale || !bias || x.rank === 2) return affine(g, site, y);
  const [mean, variance] = [0, 1].map((value) =>
    filled(g, x.dtype as FloatDType, channelsOf(site).channels, value),
  );
  return batchNorm(g, y, [scale, bias, mean!, variance!], 0);
}

const batchNorm = (g: Scope, x: Value, parameters: readonly Value[], epsilon: number): Value =>
  g.node('BatchNormalization', [x, ...parameters], { epsilon: float(epsilon) }, [
    { dtype: x.dtype, shape: x.shape },
  ])[0]!;

/**
 * Computes what the form for files does: see `reduceMeanLowering`.
 * @param areLong Whether sums may be long: each mean is then corrected by the mean of what is left after it is subtracted.
 */
function statisticsForm(
  g: Scope,
  site: GroupNormSite,
  opset: number,
  areLong: boolean,
  areInOneFloat: boolean,
): Value {
  const length = rowLength(site);
  const rows = toRows(g, site, typeof length === 'number' ? splitLength(length) : undefined);
  const meanOf = (value: Value, steps: number): Value => {
    const mean = rowMean(g, value);
    return steps === 1
      ? mean
      : op.add(g, mean, meanOf(op.sub(g, value, alongRows(g, mean, rows)), steps - 1));
  };
  const steps = areLong ? 2 : 1;
  const centred = op.sub(g, rows, alongRows(g, meanOf(rows, steps), rows));
  const mean = meanOf(centred, areInOneFloat ? steps : 1);
  const squares = meanOf(op.mul(g, centred, centred), areInOneFloat ? steps + 1 : steps);
  const variance = varianceOf(g, site, squares, mean);
  const { dtype, rank } = site.x;
  return typeof length === 'number' && dtype === 'float32' && rank > 2 && opset >= EXPAND_OPSET
    ? byBatchNorm(g, site, centred, mean, variance)
    : scaleAndShift(g, site, fromRows(g, site, centred), mean, variance);
}

/** The first opset that has Expand. */
const EXPAND_OPSET = 8;

/** Normalizes centred rows by a BatchNormalization with one channel for each channel of each sample. */
function byBatchNorm(g: Scope, site: GroupNormSite, centred: Value, mean: Value, variance: Value): Value {
  const { x, numGroups } = site;
  const { channels, channelsPerGroup } = channelsOf(site);
  const neutral = (length: number, value: number) => filled(g, x.dtype as FloatDType, length, value);
  const flat = (value: Value) => op.reshape(g, value, [-1]);
  const forChannels = (value: Value) =>
    flat(channelsPerGroup === 1 ? value : op.mul(g, value, neutral(channelsPerGroup, 1)));
  const samples = x.shape[0] === 1 ? undefined : op.shape(g, mean);
  const forSamples = (value: Value) =>
    samples === undefined
      ? value
      : flat(
          op.expand(g, op.reshape(g, value, [1, numGroups, channelsPerGroup]), samples, {
            outputShape: [x.shape[0]!, numGroups, channelsPerGroup],
          }),
        );
  const parameters = [
    forSamples(site.scale ?? neutral(channels, 1)),
    forSamples(site.bias ?? neutral(channels, 0)),
    forChannels(mean),
    forChannels(variance),
  ];
  const planes = op.reshape(g, centred, [1, -1, elementCount(x.shape.slice(2) as number[])]);
  return fromRows(g, site, batchNorm(g, planes, parameters, site.epsilon));
}

/** Makes (N, C, ...) rows (N, G, ...parts), or (N, G, C / G, ...), which needs no size that is a name. */
function toRows(g: Scope, { x, numGroups }: GroupNormSite, parts: readonly number[] | undefined): Value {
  if (parts) return op.reshape(g, x, [0, numGroups, ...parts]);
  const channelsPerGroup = (x.shape[1] as number) / numGroups;
  return op.reshape(g, op.unsqueeze(g, x, { axes: [1] }), [0, numGroups, channelsPerGroup, ...spatialOf(x)]);
}

/** Makes rows (N, C, ...) again. */
function fromRows(g: Scope, { x }: GroupNormSite, rows: Value): Value {
  const [batch, channels, ...spatial] = x.shape;
  if (isStatic(spatial))
    return op.reshape(g, rows, [-1, channels as number, ...spatial], { outputShape: x.shape });
  const apart = op.reshape(g, rows, [0, 1, channels as number, ...spatialOf(x)], {
    outputShape: [batch!, 1, channels!, ...spatial],
  });
  return op.squeeze(g, apart, { axes: [1] });
}

/** In the target of a Reshape a 0 is the input's size in that place. */
const spatialOf = (x: Value): number[] => Array<number>(x.rank - 2).fill(0);
