/** Normalization operators. Sources: the ONNX operator pages of the same names. */
import { GraphError } from '../../errors.js';
import { broadcastsTo } from '../../shapes/broadcast.js';
import { formatShape } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  knownOptions,
  requireChannels,
  requireEpsilon,
  requireFloat,
  requirePerChannel,
  requireRank,
  requireSameDType,
  requireValues,
  resolveAxis,
  type Place,
} from '../checks.js';
import { float, int } from '../attr.js';
import type { Value } from '../types.js';

/** The options of every normalization, by ONNX's attribute names. */
export interface NormalizationOptions {
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
}

/** ONNX's default epsilon for every normalization in this file. */
export const DEFAULT_EPSILON = 1e-5;

/** Options of {@link groupNormalization}. */
export interface GroupNormalizationOptions extends NormalizationOptions {
  /** The number of groups of channels; must divide the number of channels. */
  readonly numGroups: number;
}

/** Options of {@link layerNormalization}. */
export interface LayerNormalizationOptions extends NormalizationOptions {
  /** The first axis to normalise; all later axes follow. A negative axis counts from the end. Default −1. */
  readonly axis?: number;
}

/**
 * Adds a Group Normalization (Wu & He 2018, arXiv:1803.08494; `torch.nn.GroupNorm`): divides each sample's channels into
 * groups, normalises each group to mean 0 and variance 1, and scales and shifts each channel:
 * y = (x − mean) / √(variance + epsilon) · scale + bias, with the biased variance.
 * @param x (N, C, ...) of rank 2 or more, any float; N and the rest may be names, C must be a number.
 * @param scale (C), or undefined for ones.
 * @param bias (C), or undefined for zeros.
 * @throws OptionError, GraphError `NUM_GROUPS_MISMATCH`, `RANK_TOO_LOW`, `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `INVALID_*`.
 */
export function groupNormalization(
  g: Scope,
  x: Value,
  scale: Value | undefined,
  bias: Value | undefined,
  options: GroupNormalizationOptions,
): Value {
  const opType = 'GroupNormalization';
  const { numGroups, epsilon = DEFAULT_EPSILON } = knownOptions(g, opType, options, ['numGroups', 'epsilon']);
  requireGroupNormalization(g, { x, scale, bias, numGroups, epsilon });
  return g.node(opType, [x, scale, bias], { num_groups: int(numGroups), epsilon: float(epsilon) }, [
    { dtype: x.dtype, shape: x.shape },
  ])[0]!;
}

/** The inputs and options of a {@link groupNormalization}. */
export interface GroupNormalizationParts extends Required<GroupNormalizationOptions> {
  readonly x: Value;
  readonly scale: Value | undefined;
  readonly bias: Value | undefined;
}

/**
 * Checks the inputs and options of a {@link groupNormalization}, also of a node that the caller made with `g.node`.
 * @throws GraphError as {@link groupNormalization}.
 */
export function requireGroupNormalization(
  g: Place,
  { x, scale, bias, numGroups, epsilon }: GroupNormalizationParts,
): void {
  const opType = 'GroupNormalization';
  requireValues(g, opType, { x }, { scale, bias });
  requireRank(g, opType, x, 2, '(N, C, ...)');
  requireFloat(g, opType, x);
  requireSameDType(g, opType, x, scale, bias);
  requireEpsilon(g, opType, epsilon);
  const channels = requireChannels(g, opType, x);
  if (!Number.isSafeInteger(numGroups) || numGroups < 1 || channels === 0 || channels % numGroups !== 0) {
    throw new GraphError(
      'NUM_GROUPS_MISMATCH',
      `${g.describe(opType)}: numChannels ${channels} is not divisible by numGroups ${numGroups}; ` +
        `allowed: ${divisors(channels)}`,
    );
  }
  if (scale) requirePerChannel(g, opType, x, scale, 'scale');
  if (bias) requirePerChannel(g, opType, x, bias, 'bias');
}

/**
 * Adds a Batch Normalization (Ioffe & Szegedy 2015; `torch.nn.BatchNorm*d`) with given statistics, as in `eval()`. For
 * statistics of the batch ONNX Runtime's `training_mode` gives wrong numbers if the running statistics are not used
 * (microsoft/onnxruntime issue 29790); `graphs/layers` builds them from other operators.
 * @param x (N, C, ...), any float. `scale`, `bias`, `mean` and `variance` are (C), of the same dtype.
 * @throws OptionError, GraphError `RANK_TOO_LOW`, `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `INVALID_*`.
 */
export function batchNormalization(
  g: Scope,
  x: Value,
  scale: Value,
  bias: Value,
  mean: Value,
  variance: Value,
  options: NormalizationOptions = {},
): Value {
  const opType = 'BatchNormalization';
  const { epsilon = DEFAULT_EPSILON } = knownOptions(g, opType, options, ['epsilon']);
  requireValues(g, opType, { x, scale, bias, mean, variance });
  requireRank(g, opType, x, 2, '(N, C, ...)');
  requireFloat(g, opType, x);
  requireSameDType(g, opType, x, scale, bias, mean, variance);
  requireEpsilon(g, opType, epsilon);
  for (const [role, vector] of Object.entries({ scale, bias, mean, variance })) {
    requirePerChannel(g, opType, x, vector, role);
  }
  return g.node(opType, [x, scale, bias, mean, variance], { epsilon: float(epsilon) }, [
    { dtype: x.dtype, shape: x.shape },
  ])[0]!;
}

/**
 * Adds an Instance Normalization (Ulyanov et al. 2016; `torch.nn.InstanceNorm*d`): normalises each channel of each sample.
 * @param x (N, C, D1, ...) of rank 3 or more, any float. `scale` and `bias` are (C), of the same dtype.
 * @throws OptionError, GraphError `RANK_TOO_LOW`, `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `INVALID_*`.
 */
export function instanceNormalization(
  g: Scope,
  x: Value,
  scale: Value,
  bias: Value,
  options: NormalizationOptions = {},
): Value {
  const opType = 'InstanceNormalization';
  const { epsilon = DEFAULT_EPSILON } = knownOptions(g, opType, options, ['epsilon']);
  requireValues(g, opType, { x, scale, bias });
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  requireFloat(g, opType, x);
  requireSameDType(g, opType, x, scale, bias);
  requireEpsilon(g, opType, epsilon);
  requirePerChannel(g, opType, x, scale, 'scale');
  requirePerChannel(g, opType, x, bias, 'bias');
  return g.node(opType, [x, scale, bias], { epsilon: float(epsilon) }, [
    { dtype: x.dtype, shape: x.shape },
  ])[0]!;
}

/**
 * Adds a Layer Normalization (Ba et al. 2016; `torch.nn.LayerNorm`) over `axis` and all later axes.
 * @param x Any float, any rank of at least 1.
 * @param scale Broadcastable to the normalised dimensions, of the same dtype; `bias` likewise, or undefined.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `INVALID_DTYPE`.
 */
export function layerNormalization(
  g: Scope,
  x: Value,
  scale: Value,
  bias: Value | undefined,
  options: LayerNormalizationOptions = {},
): Value {
  const opType = 'LayerNormalization';
  const { axis = -1, epsilon = DEFAULT_EPSILON } = knownOptions(g, opType, options, ['axis', 'epsilon']);
  requireValues(g, opType, { x, scale }, { bias });
  requireFloat(g, opType, x);
  requireSameDType(g, opType, x, scale, bias);
  requireEpsilon(g, opType, epsilon);
  const normalized = x.shape.slice(resolveAxis(g, opType, axis, x));
  for (const [role, vector] of Object.entries({ scale, bias })) {
    if (!vector || broadcastsTo(vector.shape, normalized)) continue;
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: ${role} ${describeValue(vector)} does not broadcast to the normalised dimensions ` +
        `${formatShape(normalized)} of ${describeValue(x)}`,
    );
  }
  return g.node(opType, [x, scale, bias], { axis: int(axis), epsilon: float(epsilon) }, [
    { dtype: x.dtype, shape: x.shape },
  ])[0]!;
}

function divisors(channels: number): string {
  const all = Array.from({ length: Math.min(channels, 4096) }, (_, i) => i + 1).filter(
    (n) => channels % n === 0,
  );
  return all.join(', ') || 'none, because there are no channels';
}
