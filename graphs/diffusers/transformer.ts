/**
 * Adds the transformer between the pixels of an image that conditional U-Nets have. Sources: diffusers 0.42,
 * `models/transformers/transformer_2d.py` (`Transformer2DModel`), `models/attention.py` (`BasicTransformerBlock`,
 * `FeedForward`) and `models/activations.py` (`GEGLU`); Shazeer 2020, arXiv:2002.05202.
 */
import { GraphError } from '../../lib/errors.js';
import type { Scope } from '../../lib/graph/builder.js';
import { requireChannels } from '../../lib/graph/checks.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { conv } from '../layers/convolution.js';
import { linear } from '../layers/linear.js';
import { groupNorm } from '../layers/normalization.js';
import { attention, toImage, toSequence } from './attention.js';

/** Options of {@link transformer2d}. */
export interface TransformerOptions {
  /** The number of heads of every attention. */
  readonly heads: number;
  /** The number of blocks. */
  readonly layers: number;
  /** The number of groups of `norm`. */
  readonly numGroups: number;
  /** The sequence (N, S, D) that the second attention of each block reads. */
  readonly context: Value;
  /** Whether the first attention of each block reads `context` too. */
  readonly onlyCrossAttention: boolean;
  /** Whether `proj_in` and `proj_out` are linear layers on the sequence, and not convolutions on the image. */
  readonly useLinearProjection: boolean;
  /** Whether float16 and bfloat16 take the scores of the attention in float32. */
  readonly upcast: boolean;
}

/**
 * Adds `Transformer2DModel`: `norm`, `proj_in`, `transformer_blocks` on the sequence of pixels, `proj_out`, plus `x`.
 * @param x (N, C, H, W), any float.
 * @returns (N, C, H, W).
 * @throws GraphError `NUM_GROUPS_MISMATCH`, `SHAPE_MISMATCH`, `INVALID_*`.
 */
export function transformer2d(g: Scope, x: Value, options: TransformerOptions): Value {
  const { heads, layers, numGroups, useLinearProjection } = options;
  const channels = requireChannels(g, 'Transformer2DModel', x);
  requireHeads(g, channels, heads);
  const normalized = groupNorm(g.scope('norm'), x, { numGroups, eps: 1e-6 });
  const projectIn = (value: Value) =>
    useLinearProjection
      ? linear(g.scope('proj_in'), toSequence(g, value), { outFeatures: channels })
      : toSequence(g, conv(g.scope('proj_in'), value, { outChannels: channels, kernelSize: 1 }));
  let y = projectIn(normalized);
  for (let i = 0; i < layers; i++) {
    y = transformerBlock(g.scope(`transformer_blocks.${i}`), y, { ...options, dimHead: channels / heads });
  }
  const projected = useLinearProjection
    ? toImage(g, linear(g.scope('proj_out'), y, { outFeatures: channels }), x)
    : conv(g.scope('proj_out'), toImage(g, y, x), { outChannels: channels, kernelSize: 1 });
  return op.add(g, projected, x);
}

function requireHeads(g: Scope, channels: number, heads: number): void {
  if (channels % heads === 0) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Transformer2DModel')}: ${channels} channels cannot be divided into ${heads} heads`,
  );
}

/**
 * Adds `BasicTransformerBlock` on a sequence (N, S, C): `norm1` and `attn1`, between the elements of the sequence; `norm2` and
 * `attn2`, which reads the context; `norm3` and `ff`. The result of each is added to what it got.
 */
function transformerBlock(
  g: Scope,
  x: Value,
  { heads, dimHead, context, onlyCrossAttention, upcast }: TransformerOptions & { dimHead: number },
): Value {
  const attend = (name: string, value: Value, from?: Value) =>
    attention(g.scope(name), value, { heads, dimHead, context: from, upcast });
  const first = attend('attn1', layerNorm(g.scope('norm1'), x), onlyCrossAttention ? context : undefined);
  const own = op.add(g, first, x);
  const crossed = op.add(g, attend('attn2', layerNorm(g.scope('norm2'), own), context), own);
  return op.add(g, feedForward(g.scope('ff'), layerNorm(g.scope('norm3'), crossed)), crossed);
}

/** Adds `FeedForward` with GEGLU: one linear layer gives values and gates, values · GELU(gates) goes through another. */
function feedForward(g: Scope, x: Value): Value {
  const channels = x.shape[2] as number;
  const inner = 4 * channels;
  const gated = g.scope('net.0');
  const both = linear(gated.scope('proj'), x, { outFeatures: 2 * inner });
  const [values, gates] = op.split(gated, both, { axis: -1, sizes: [inner, inner] });
  const hidden = op.mul(gated, values!, op.gelu(gated, gates!));
  return linear(g.scope('net.2'), hidden, { outFeatures: channels });
}

/** Adds `torch.nn.LayerNorm` over the last dimension, with the parameters `weight` and `bias`, (C) each. */
function layerNorm(g: Scope, x: Value): Value {
  const type = { dtype: x.dtype, shape: [x.shape.at(-1) as number] };
  const weight = g.parameter('weight', { ...type, init: 'ones' });
  const bias = g.parameter('bias', { ...type, init: 'zeros' });
  return op.layerNormalization(g, x, weight, bias, { axis: -1, epsilon: 1e-5 });
}
