/**
 * Adds the embeddings of time steps and classes of diffusers' U-Nets. Sources: diffusers 0.42, `models/embeddings.py`
 * (`Timesteps`, `GaussianFourierProjection`, `TimestepEmbedding`); `torch.nn.Embedding`; Vaswani et al. 2017,
 * arXiv:1706.03762, section 3.5.
 */
import type { Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { castTensor, filledTensor } from '../../lib/half.js';
import { type DType, tensor } from '../../lib/tensor.js';
import { linear } from '../layers/linear.js';
import { activate, type Activation } from './resnet.js';

/** The longest period of the waves of {@link timesteps}, in steps and up to a factor of 2π. */
const MAX_PERIOD = 10_000;

/** Options of {@link timesteps}. */
export interface TimestepsOptions {
  /** The number of channels of the result. */
  readonly channels: number;
  /** Whether the cosines stand before the sines. */
  readonly flipSinToCos: boolean;
  /** Taken off the number of frequencies in the exponent. */
  readonly freqShift: number;
  /** The dtype of the result. */
  readonly dtype: DType;
}

/**
 * Adds `Timesteps`: sines and cosines of `t` times frequencies from 1 down to 1/10000. Computed in float32 as in PyTorch,
 * also for a result in float16, in which a step such as 999 times a frequency would keep no digits.
 * @param t Any shape, any dtype.
 * @returns The shape of `t` and `channels`; an odd last channel is 0.
 */
export function timesteps(
  g: Scope,
  t: Value,
  { channels, flipSinToCos, freqShift, dtype }: TimestepsOptions,
): Value {
  const half = Math.floor(channels / 2);
  const frequencies = Float64Array.from({ length: half }, (_, i) =>
    Math.exp((-Math.log(MAX_PERIOD) * i) / (half - freqShift)),
  );
  const wide = dtype === 'float64' ? 'float64' : 'float32';
  const factors = g.constant(castTensor(tensor('float64', [half], frequencies), wide), 'frequencies');
  const angles = op.mul(g, op.unsqueeze(g, toDType(g, t, wide), { axes: [-1] }), factors);
  const waves = sinesAndCosines(g, angles, flipSinToCos);
  const padded =
    channels % 2 === 0 ? waves : op.pad(g, waves, { pads: [...Array<number>(2 * t.rank + 1).fill(0), 1] });
  return toDType(g, padded, dtype);
}

/** Options of {@link gaussianFourierProjection}. */
export interface FourierOptions {
  /** The number of frequencies. */
  readonly embeddingSize: number;
  /** Whether the logarithm of `t` is taken first. */
  readonly log: boolean;
  /** Whether the cosines stand before the sines. */
  readonly flipSinToCos: boolean;
}

/**
 * Adds `GaussianFourierProjection`, with the parameter `weight` (embeddingSize), and returns the function that gives sines and
 * cosines of 2π · t · weight. Computed in the dtype of `t`, which may be wider than `dtype`.
 * @param dtype Of the parameter and of the results.
 * @returns A function from `t` (N), any float, to (N, 2 · embeddingSize).
 */
export function gaussianFourierProjection(
  g: Scope,
  dtype: DType,
  { embeddingSize, log, flipSinToCos }: FourierOptions,
): (t: Value) => Value {
  const weight = g.parameter('weight', { dtype, shape: [embeddingSize], init: { uniform: 1 } });
  return (t) => {
    const column = op.unsqueeze(g, log ? op.log(g, t) : t, { axes: [1] });
    const fullCircle = g.constant(filledTensor(t.dtype, [], 2 * Math.PI));
    const angles = op.mul(g, op.mul(g, column, toDType(g, weight, t.dtype)), fullCircle);
    return toDType(g, sinesAndCosines(g, angles, flipSinToCos), dtype);
  };
}

function sinesAndCosines(g: Scope, angles: Value, flipSinToCos: boolean): Value {
  const waves = [op.sin(g, angles), op.cos(g, angles)];
  return op.concat(g, flipSinToCos ? waves.reverse() : waves, { axis: -1 });
}

/** Options of {@link timestepEmbedding}. */
export interface TimestepEmbeddingOptions {
  /** The number of channels of the result. */
  readonly channels: number;
  /** Between the two linear layers. Default `silu`. */
  readonly activation?: Activation;
  /** After the second linear layer. Default: the identity. */
  readonly postActivation?: Activation | null;
  /** A condition (N, C'), which `cond_proj` adds to `x`. */
  readonly condition?: Value | undefined;
}

/**
 * Adds `TimestepEmbedding`: `linear_1`, an activation and `linear_2`.
 * @param x (N, C), any float.
 * @returns (N, channels).
 */
export function timestepEmbedding(
  g: Scope,
  x: Value,
  { channels, activation = 'silu', postActivation = null, condition }: TimestepEmbeddingOptions,
): Value {
  const conditioned = condition
    ? op.add(
        g,
        x,
        linear(g.scope('cond_proj'), condition, { outFeatures: x.shape[1] as number, bias: false }),
      )
    : x;
  const hidden = linear(g.scope('linear_1'), conditioned, { outFeatures: channels });
  const y = linear(g.scope('linear_2'), activate(g, hidden, activation), { outFeatures: channels });
  return postActivation === null ? y : activate(g, y, postActivation);
}

/** Options of {@link embedding}. */
export interface EmbeddingOptions {
  /** The number of rows of `weight`. */
  readonly numEmbeddings: number;
  /** The number of channels of the result. */
  readonly channels: number;
  /** The dtype of the result. */
  readonly dtype: DType;
}

/**
 * Adds `torch.nn.Embedding`, and returns the function that gives the rows of its parameter `weight` (numEmbeddings,
 * channels).
 * @returns A function from indices (N), int64, to (N, channels); the runtime refuses an index that is not a row.
 */
export function embedding(
  g: Scope,
  { numEmbeddings, channels, dtype }: EmbeddingOptions,
): (indices: Value) => Value {
  const weight = g.parameter('weight', { dtype, shape: [numEmbeddings, channels], init: { uniform: 1 } });
  return (indices) => op.gather(g, weight, indices);
}

/** Returns `x` in another dtype; `x` itself if it has the dtype. */
export const toDType = (g: Scope, x: Value, dtype: DType): Value =>
  x.dtype === dtype ? x : op.cast(g, x, dtype);
