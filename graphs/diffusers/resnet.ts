/**
 * Adds the convolutional blocks that diffusers' models share. Sources: diffusers 0.42, `models/resnet.py`
 * (`ResnetBlock2D`), `models/downsampling.py` (`Downsample2D`), `models/upsampling.py` (`Upsample2D`) and
 * `models/activations.py`.
 */
import type { Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { filledTensor } from '../../lib/half.js';
import { conv } from '../layers/convolution.js';
import { linear } from '../layers/linear.js';
import { groupNorm } from '../layers/normalization.js';
import { upsampleNearest } from '../layers/resampling.js';

/** The functions that a configuration's `act_fn` can name: those of diffusers' `get_activation`. */
const ACTIVATIONS = {
  swish: op.silu,
  silu: op.silu,
  mish: op.mish,
  gelu: op.gelu,
  relu: op.relu,
} as const;

/** The name of an activation function, in lower case. */
export type Activation = keyof typeof ACTIVATIONS;

/** The names of the activation functions. */
export const ACTIVATION_NAMES = Object.keys(ACTIVATIONS) as readonly Activation[];

/** Applies an activation function to `x`, any float. */
export const activate = (g: Scope, x: Value, activation: Activation): Value => ACTIVATIONS[activation](g, x);

/** Changes the spatial size of a block's two branches; the same module runs on both. */
type Resample = (g: Scope, x: Value) => Value;

/** Options of {@link resnetBlock2d}. */
export interface ResnetBlock2dOptions {
  /** The number of channels of the result. */
  readonly outChannels: number;
  /** The number of groups of `norm1`, and of `norm2` unless `numGroupsOut` says otherwise. */
  readonly numGroups: number;
  /** The number of groups of `norm2`. */
  readonly numGroupsOut?: number;
  /** Added to the variance. */
  readonly eps: number;
  /** Default `silu`. */
  readonly activation?: Activation;
  /** The time embedding (N, T), not yet activated; without it the block has no `time_emb_proj`. */
  readonly timeEmbedding?: Value | undefined;
  /** Whether the time embedding is already activated (`skip_time_act`). Default false. */
  readonly skipTimeActivation?: boolean;
  /** How the time embedding enters: added before `norm2`, or as scale and shift after it. Default `default`. */
  readonly timeScaleShift?: 'default' | 'scale_shift';
  /** The result is divided by this. Default 1. */
  readonly outputScaleFactor?: number;
  /** Whether the shortcut is convolved (`use_in_shortcut`). Default: if the numbers of channels differ. */
  readonly convShortcut?: boolean;
  /** Whether `conv_shortcut` has a bias. Default true. */
  readonly convShortcutBias?: boolean;
  /** Resamples both branches, after the first activation, in blocks that change the spatial size themselves. */
  readonly resample?: Resample;
}

/**
 * Adds `ResnetBlock2D`: `norm1`, activation, `conv1`, `time_emb_proj`, `norm2`, activation, `conv2`, plus the shortcut,
 * which is `x` or `conv_shortcut`.
 * @param x (N, C, H, W), any float.
 * @returns (N, outChannels, H, W), or resampled.
 * @throws GraphError `NUM_GROUPS_MISMATCH`, `RANK_TOO_LOW`, `INVALID_*`.
 */
export function resnetBlock2d(g: Scope, x: Value, options: ResnetBlock2dOptions): Value {
  const { outChannels, numGroups, numGroupsOut = numGroups, eps, activation = 'silu' } = options;
  const { outputScaleFactor = 1, convShortcutBias = true, resample = (_, value) => value } = options;
  const conv3 = { outChannels, kernelSize: 3, padding: 1 };
  const normalized = groupNorm(g.scope('norm1'), x, { numGroups, eps });
  const activated = resample(g, activate(g, normalized, activation));
  const hidden = conv(g.scope('conv1'), activated, conv3);
  const norm2 = (value: Value) => groupNorm(g.scope('norm2'), value, { numGroups: numGroupsOut, eps });
  const conditioned = activate(g, withTime(g, hidden, norm2, options), activation);
  const residual = conv(g.scope('conv2'), conditioned, conv3);
  const { convShortcut = x.shape[1] !== outChannels } = options;
  const resampled = resample(g, x);
  const shortcut = convShortcut
    ? conv(g.scope('conv_shortcut'), resampled, { outChannels, kernelSize: 1, bias: convShortcutBias })
    : resampled;
  return divided(g, op.add(g, shortcut, residual), outputScaleFactor);
}

/** Adds `norm2` with the time embedding before it, around it or without it. */
function withTime(
  g: Scope,
  hidden: Value,
  norm2: (value: Value) => Value,
  { outChannels, timeEmbedding, activation = 'silu', ...options }: ResnetBlock2dOptions,
): Value {
  if (!timeEmbedding) return norm2(hidden);
  const { skipTimeActivation = false, timeScaleShift = 'default' } = options;
  const activated = skipTimeActivation ? timeEmbedding : activate(g, timeEmbedding, activation);
  const isScaled = timeScaleShift === 'scale_shift';
  const outFeatures = isScaled ? 2 * outChannels : outChannels;
  const projected = linear(g.scope('time_emb_proj'), activated, { outFeatures });
  const time = op.unsqueeze(g, projected, { axes: [2, 3] });
  if (!isScaled) return norm2(op.add(g, hidden, time));
  const [scale, shift] = op.split(g, time, { axis: 1, sizes: [outChannels, outChannels] });
  const one = g.constant(filledTensor(time.dtype, [], 1));
  return op.add(g, op.mul(g, norm2(hidden), op.add(g, scale!, one)), shift!);
}

/** Divides `x` by a number; returns `x` itself for 1. */
export const divided = (g: Scope, x: Value, divisor: number): Value =>
  divisor === 1 ? x : op.div(g, x, g.constant(filledTensor(x.dtype, [], divisor)));

/** Options of {@link downsample2d}. */
export interface Downsample2dOptions {
  /** The number of channels of the result; without it the block averages 2×2 pixels and has no parameters. */
  readonly outChannels?: number;
  /** Zeros added at all edges; 0 adds one at the bottom and one at the right. Default 1. */
  readonly padding?: number;
}

/**
 * Adds `Downsample2D`: `conv` 3×3 of stride 2, or the mean of 2×2 pixels.
 * @param x (N, C, H, W), any float.
 * @returns (N, outChannels, ...): ⌈H/2⌉ and ⌈W/2⌉ with padding 1; ⌊H/2⌋ and ⌊W/2⌋ with padding 0 or without `conv`.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_*`.
 */
export function downsample2d(
  g: Scope,
  x: Value,
  { outChannels, padding = 1 }: Downsample2dOptions = {},
): Value {
  if (outChannels === undefined) return op.averagePool(g, x, { kernelShape: [2, 2], strides: [2, 2] });
  const paddingEnd = padding === 0 ? 1 : padding;
  return conv(g.scope('conv'), x, { outChannels, kernelSize: 3, stride: 2, padding, paddingEnd });
}

/** Options of {@link upsample2d}. */
export interface Upsample2dOptions {
  /** The number of channels of the result; without it the block has no `conv`. */
  readonly outChannels?: number;
  /** A value (N, C', H', W') whose spatial size the result has. Default: twice the size of `x`. */
  readonly sizeOf?: Value | undefined;
}

/**
 * Adds `Upsample2D`: repeats the nearest pixels, then `conv` 3×3.
 * @param x (N, C, H, W), any float.
 * @returns (N, outChannels or C, 2·H, 2·W), or with the spatial size of `sizeOf`.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_*`.
 */
export function upsample2d(g: Scope, x: Value, { outChannels, sizeOf }: Upsample2dOptions = {}): Value {
  const large = sizeOf ? resizedAs(g, x, sizeOf) : upsampleNearest(g, x, { scaleFactor: 2 });
  if (outChannels === undefined) return large;
  return conv(g.scope('conv'), large, { outChannels, kernelSize: 3, padding: 1 });
}

/** Repeats the nearest pixels of `x` to the spatial size that `like` has at run time. */
function resizedAs(g: Scope, x: Value, like: Value): Value {
  const part = (value: Value, start: number, end: number) =>
    op.slice(g, op.shape(g, value), { axes: [0], starts: [start], ends: [end] });
  return op.resize(g, x, {
    sizes: op.concat(g, [part(x, 0, 2), part(like, 2, 4)], { axis: 0 }),
    outputShape: [...x.shape.slice(0, 2), ...like.shape.slice(2)],
    coordinateTransformationMode: 'asymmetric',
    nearestMode: 'floor',
  });
}
