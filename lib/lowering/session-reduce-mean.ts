/**
 * `reduce-mean` in the form for sessions on ONNX Runtime's CPU kernels, onnxruntime-node's and WebAssembly's. It centres
 * the rows first, as the form for files does, and leaves the rest to the kernels for normalizations:
 *
 *     short rows: x − mean → InstanceNormalization → γ and β
 *     other rows: x − mean → the statistics of what is left, in short sums → BatchNormalization, or Mul and Add
 *
 * Rows whose length is a name have a form of their own: see `normalizeNamed`. Files do not have this form: other runtimes take
 * constants only as the statistics of BatchNormalization.
 */
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import { elementCount, type FloatDType } from '../tensor.js';
import { scaleAndShift, varianceOf } from './reduce-mean.js';
import { splitsEvenly } from './row-means.js';
import {
  affineInOneNode,
  alongRows,
  axesFrom,
  batchNorm,
  channelsOf,
  filled,
  fromRows,
  inWideDType,
  rowLength,
  rowMean,
  toSplitRows,
} from './rows.js';
import { normalizeNamed } from './session-named-sizes.js';
import type { FloatSums, GroupNormSite, LoweringForm } from './types.js';

/** Returns the form for a runtime. */
export const sessionReduceMean = (sums: FloatSums): LoweringForm => ({
  lower: (g, site, opset) => inWideDType(g, site, (wide) => normalize(g, wide, opset, sums)),
});

function normalize(g: Scope, site: GroupNormSite, opset: number, sums: FloatSums): Value {
  const length = rowLength(site);
  if (typeof length !== 'number') return normalizeNamed(g, site, opset, sums);
  const maxShort = site.x.dtype === 'float32' && !site.isCorrected ? sums.maxShortRow : 0;
  return length <= maxShort ? shortForm(g, site, length) : statisticsForm(g, site, opset, sums.areInOneFloat);
}

/** Centres rows and normalizes them by InstanceNormalization, which takes the rounding error of the first mean out again. */
function shortForm(g: Scope, site: GroupNormSite, length: number): Value {
  const { x, scale, bias, numGroups, epsilon } = site;
  const ofChannels = channelsOf(site).channelsPerGroup === 1 && x.rank > 2;
  const rows = ofChannels ? x : op.reshape(g, x, [0, numGroups, length]);
  const centred = op.sub(g, rows, op.reduceMean(g, rows, { axes: axesFrom(2, rows.rank) }));
  const neutral = (value: number) => filled(g, x.dtype as FloatDType, numGroups, value);
  if (ofChannels)
    return op.instanceNormalization(g, centred, scale ?? neutral(1), bias ?? neutral(0), { epsilon });
  const normalized = op.instanceNormalization(g, centred, neutral(1), neutral(0), { epsilon });
  return affineInOneNode(g, site, fromRows(g, site, normalized));
}

/**
 * Computes what the form for files does: see `reduceMeanLowering`. Where a row does not divide into short sums, each mean is
 * corrected by the mean of what is left after it is subtracted.
 */
function statisticsForm(g: Scope, site: GroupNormSite, opset: number, areInOneFloat: boolean): Value {
  const rows = toSplitRows(g, site, site.x);
  const meanOf = (value: Value, steps: number): Value => {
    const mean = rowMean(g, value);
    return steps === 1
      ? mean
      : op.add(g, mean, meanOf(op.sub(g, value, alongRows(g, mean, rows)), steps - 1));
  };
  const steps = splitsEvenly(site) ? 1 : 2;
  const centred = op.sub(g, rows, alongRows(g, meanOf(rows, steps), rows));
  const mean = meanOf(centred, areInOneFloat ? steps : 1);
  const squares = meanOf(op.mul(g, centred, centred), areInOneFloat ? steps + 1 : steps);
  const variance = varianceOf(g, site, squares, mean);
  const { dtype, rank } = site.x;
  return dtype === 'float32' && rank > 2 && opset >= EXPAND_OPSET
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
  const spatial = x.shape.slice(2) as number[];
  const planes = op.reshape(g, centred, [1, -1, elementCount(spatial)]);
  const normalized = batchNorm(g, planes, parameters, site.epsilon);
  return op.reshape(g, normalized, [-1, channels, ...spatial], { outputShape: x.shape });
}
