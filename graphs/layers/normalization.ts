/**
 * Adds normalizations. Sources: `torch.nn.GroupNorm`; `torch.nn.functional.batch_norm`, `layer_norm` and
 * `instance_norm`; Wu & He 2018, arXiv:1803.08494, for the difference between the four: the elements that share one mean
 * and one variance.
 */
import { GraphError } from '../../lib/errors.js';
import type { Scope } from '../../lib/graph/builder.js';
import { requireChannels, requireRank } from '../../lib/graph/checks.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { filledTensor } from '../../lib/half.js';
import { formatShape } from '../../lib/tensor.js';

/** Options of {@link groupNorm}. */
export interface GroupNormOptions {
  /** The number of groups; must divide the number of channels. */
  readonly numGroups: number;
  /** The number of channels that `x` must have. Default: any. */
  readonly numChannels?: number;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Whether the layer has a weight and a bias. Default true. */
  readonly affine?: boolean;
}

/** A factor and an offset per channel, (C) each, of the input's dtype. */
export interface Affine {
  /** The factors. */
  readonly weight: Value;
  /** The offsets. */
  readonly bias: Value;
}

/** Options of the normalizations that declare no parameters. */
export interface NormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Default: a factor of 1 and an offset of 0. */
  readonly affine?: Affine | undefined;
}

/**
 * Adds `torch.nn.GroupNorm(num_groups, num_channels, eps, affine)`: parameters `weight` and `bias`, (C) each.
 * @param x (N, C, ...), any float.
 * @throws GraphError `NUM_GROUPS_MISMATCH`, `SHAPE_MISMATCH`, `RANK_TOO_LOW`, `INVALID_SHAPE`.
 */
export function groupNorm(
  g: Scope,
  x: Value,
  { numGroups, numChannels, eps = 1e-5, affine = true }: GroupNormOptions,
): Value {
  requireRank(g, 'GroupNorm', x, 2, '(N, C, ...)');
  if (numChannels !== undefined) requireChannelCount(g, x, numChannels);
  const parameters = affine ? affineParameters(g, x) : undefined;
  return op.groupNormalization(g, x, parameters?.weight, parameters?.bias, { numGroups, epsilon: eps });
}

/**
 * Declares `weight` and `bias`, (C) each, initialised to ones and zeros: the parameters of an affine normalization of
 * `x` (N, C, ...).
 * @throws GraphError `INVALID_SHAPE` if C is a name.
 */
export function affineParameters(g: Scope, x: Value): Affine {
  const shape = [requireChannels(g, 'GroupNorm', x)];
  return {
    weight: g.parameter('weight', { dtype: x.dtype, shape, init: 'ones' }),
    bias: g.parameter('bias', { dtype: x.dtype, shape, init: 'zeros' }),
  };
}

/**
 * Adds `torch.nn.functional.layer_norm` over all dimensions but the first: normalizes each sample by its own mean and
 * variance. Its factor and offset have one number per channel; those of `torch.nn.LayerNorm` have one per element.
 * @param x (N, C, ...), any float.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_*`.
 */
export function layerNorm(g: Scope, x: Value, { eps = 1e-5, affine }: NormOptions = {}): Value {
  requireRank(g, 'LayerNorm', x, 2, '(N, C, ...)');
  const alongChannels = [-1, ...Array<number>(x.rank - 2).fill(1)];
  const scale = affine ? op.reshape(g, affine.weight, alongChannels) : filled(g, x, [1], 1);
  const bias = affine && op.reshape(g, affine.bias, alongChannels);
  return op.layerNormalization(g, x, scale, bias, { axis: 1, epsilon: eps });
}

/**
 * Adds `torch.nn.functional.instance_norm`: normalizes each channel of each sample by its own mean and variance.
 * @param x (N, C, D1, ...) of rank 3 or more, any float; float16 and bfloat16 take their statistics in float32.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_*`.
 */
export function instanceNorm(g: Scope, x: Value, { eps = 1e-5, affine }: NormOptions = {}): Value {
  const shape = [requireChannels(g, 'InstanceNorm', x)];
  return inWideDType(g, x, (wide) => {
    const scale = affine ? toDTypeOf(g, wide, affine.weight) : filled(g, wide, shape, 1);
    const bias = affine ? toDTypeOf(g, wide, affine.bias) : filled(g, wide, shape, 0);
    return op.instanceNormalization(g, wide, scale, bias, { epsilon: eps });
  });
}

/** Options of {@link batchNorm}. */
export interface BatchNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Whether the layer has a weight and a bias. Default true. */
  readonly affine?: boolean;
}

/**
 * Adds `torch.nn.BatchNorm1d`, `BatchNorm2d` or `BatchNorm3d` as in `eval()`: parameters `weight` and `bias` if affine,
 * `running_mean` and `running_var`, (C) each. PyTorch's `num_batches_tracked` is not a parameter: `matchStateDict` leaves
 * it out.
 * @param x (N, C, ...), any float.
 * @throws OptionError, GraphError `RANK_TOO_LOW`, `INVALID_SHAPE`, `INVALID_ATTRIBUTE`, `DUPLICATE_NAME`.
 */
export function batchNorm(g: Scope, x: Value, { eps = 1e-5, affine = true }: BatchNormOptions = {}): Value {
  requireRank(g, 'BatchNorm', x, 2, '(N, C, ...)');
  const { dtype } = x;
  const shape = [requireChannels(g, 'BatchNorm', x)];
  const { weight, bias } = affine
    ? affineParameters(g, x)
    : { weight: filled(g, x, shape, 1), bias: filled(g, x, shape, 0) };
  const mean = g.parameter('running_mean', { dtype, shape, init: 'zeros' });
  const variance = g.parameter('running_var', { dtype, shape, init: 'ones' });
  return op.batchNormalization(g, x, weight, bias, mean, variance, { epsilon: eps });
}

/**
 * Adds `torch.nn.functional.batch_norm(x, None, None, training=True, eps)`: normalizes each channel by the mean and the
 * biased variance of the whole batch.
 *
 * Written as arithmetic, because ONNX Runtime's BatchNormalization with `training_mode` gives wrong numbers on CPU
 * (microsoft/onnxruntime issue 29790, seen with 1.30 and 1.32) and is refused on CUDA (issue 16867). Subtracts the mean
 * twice, so that the rounding of a large mean does not stay in the values.
 * @param x (N, C, ...), any float; float16 and bfloat16 take their statistics in float32.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_*`.
 */
export function batchNormTraining(g: Scope, x: Value, { eps = 1e-5 }: Pick<NormOptions, 'eps'> = {}): Value {
  requireRank(g, 'BatchNorm', x, 2, '(N, C, ...)');
  return inWideDType(g, x, (wide) => {
    const centred = centreChannels(g, centreChannels(g, wide));
    const variance = channelMean(g, op.mul(g, centred, centred));
    const deviation = op.sqrt(g, op.add(g, variance, filled(g, wide, [1], eps)));
    return op.div(g, centred, deviation);
  });
}

const centreChannels = (g: Scope, x: Value): Value => op.sub(g, x, channelMean(g, x));

/** Takes the mean of each channel, (1, C, 1, ...), one axis at a time: short float32 sums lose fewer digits. */
function channelMean(g: Scope, x: Value): Value {
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  return axes.reduceRight((mean, axis) => op.reduceMean(g, mean, { axes: [axis] }), x);
}

/** Runs `body` in float32 if `x` is float16 or bfloat16, and rounds the result once. */
function inWideDType(g: Scope, x: Value, body: (wide: Value) => Value): Value {
  if (x.dtype !== 'float16' && x.dtype !== 'bfloat16') return body(x);
  return op.cast(g, body(op.cast(g, x, 'float32')), x.dtype);
}

const toDTypeOf = (g: Scope, { dtype }: Value, value: Value): Value =>
  value.dtype === dtype ? value : op.cast(g, value, dtype);

const filled = (g: Scope, { dtype }: Value, shape: readonly number[], value: number): Value =>
  g.constant(filledTensor(dtype, shape, value));

function requireChannelCount(g: Scope, x: Value, numChannels: number): void {
  if (x.shape[1] === numChannels) return;
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe('GroupNorm')}: '${x.name}' ${formatShape(x.shape)} has ${x.shape[1]} channels, ` +
      `but numChannels is ${numChannels}`,
  );
}
