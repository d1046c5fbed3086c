/**
 * Adds the attention of diffusers' models. Sources: diffusers 0.42, `models/attention_processor.py` (`Attention`,
 * `AttnProcessor2_0`); Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
 */
import type { Scope } from '../../lib/graph/builder.js';
import { requireChannels } from '../../lib/graph/checks.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { filledTensor } from '../../lib/half.js';
import { isStatic } from '../../lib/tensor.js';
import { linear } from '../layers/linear.js';
import { groupNorm } from '../layers/normalization.js';
import { divided } from './resnet.js';

/** Options of {@link attention}. */
export interface AttentionOptions {
  /** The number of heads. */
  readonly heads: number;
  /** The number of channels of each head. */
  readonly dimHead: number;
  /** The sequence (N, S', C') that keys and values come from. Default: `x` itself. */
  readonly context?: Value | undefined;
  /** Whether `to_q`, `to_k` and `to_v` have a bias. Default false. */
  readonly bias?: boolean;
  /** Whether `to_out.0` has a bias. Default true. */
  readonly outBias?: boolean;
  /** Whether float16 and bfloat16 take scores and their softmax in float32 (`upcast_attention`). Default false. */
  readonly upcast?: boolean;
}

/**
 * Adds `Attention` on a sequence: softmax(q · kᵀ / √dimHead) · v in each head, with `to_q`, `to_k`, `to_v` and `to_out.0`.
 *
 * The nodes are MatMul, Softmax and MatMul, which exist in every opset. The factor is on q, so that scores in float16 do not
 * overflow before it, and ONNX Runtime makes it a part of the product.
 * @param x (N, S, C), any float.
 * @returns (N, S, C).
 * @throws GraphError `SHAPE_MISMATCH`, `RANK_TOO_LOW`, `INVALID_*`.
 */
export function attention(g: Scope, x: Value, options: AttentionOptions): Value {
  const { heads, dimHead, context = x, bias = false, outBias = true, upcast = false } = options;
  const project = (name: string, from: Value) =>
    linear(g.scope(name), from, { outFeatures: heads * dimHead, bias });
  const [q, k, v] = [project('to_q', x), project('to_k', context), project('to_v', context)];
  const isNarrow = x.dtype === 'float16' || x.dtype === 'bfloat16';
  const widened = (value: Value) => (upcast && isNarrow ? op.cast(g, value, 'float32') : value);
  const split = (value: Value, perm: readonly number[]) => splitHeads(g, value, { heads, dimHead, perm });
  const query = widened(split(q, [0, 2, 1, 3]));
  const scale = g.constant(filledTensor(query.dtype, [], 1 / Math.sqrt(dimHead)));
  const scores = op.matMul(g, op.mul(g, query, scale), widened(split(k, [0, 2, 3, 1])));
  const weights = op.softmax(g, scores, { axis: -1 });
  const narrowed = weights.dtype === x.dtype ? weights : op.cast(g, weights, x.dtype);
  const joined = joinHeads(g, op.matMul(g, narrowed, split(v, [0, 2, 1, 3])), { heads, dimHead });
  return linear(g.scope('to_out.0'), joined, { outFeatures: x.shape[2] as number, bias: outBias });
}

/** Gives (N, S, heads · dimHead) the order `perm` of the axes N, S, head and channel; one head needs no axis. */
function splitHeads(
  g: Scope,
  x: Value,
  { heads, dimHead, perm }: { heads: number; dimHead: number; perm: readonly number[] },
): Value {
  if (heads > 1) return op.transpose(g, op.reshape(g, x, [0, 0, heads, dimHead]), { perm });
  return perm[3] === 1 ? op.transpose(g, x, { perm: [0, 2, 1] }) : x;
}

/** Gives (N, heads, S, dimHead) the shape (N, S, heads · dimHead). */
function joinHeads(g: Scope, x: Value, { heads, dimHead }: { heads: number; dimHead: number }): Value {
  if (heads === 1) return x;
  return op.reshape(g, op.transpose(g, x, { perm: [0, 2, 1, 3] }), [0, 0, heads * dimHead]);
}

/** Options of {@link imageAttention}. */
export interface ImageAttentionOptions extends Omit<AttentionOptions, 'context'> {
  /** The number of groups of `group_norm`; without it there is no `group_norm`. */
  readonly numGroups: number | undefined;
  /** Added to the variance. */
  readonly eps: number;
  /** The result is divided by this. Default 1. */
  readonly rescaleOutputFactor?: number;
}

/**
 * Adds `Attention` between the pixels of an image, with `group_norm` before it and `x` added to the result, as VAEs and
 * unconditional U-Nets have it: `to_q`, `to_k` and `to_v` have a bias by default.
 * @param x (N, C, H, W), any float.
 * @returns (N, C, H, W).
 * @throws GraphError `NUM_GROUPS_MISMATCH`, `RANK_TOO_LOW`, `INVALID_*`.
 */
export function imageAttention(
  g: Scope,
  x: Value,
  { numGroups, eps, rescaleOutputFactor = 1, bias = true, ...options }: ImageAttentionOptions,
): Value {
  const normalized = numGroups === undefined ? x : groupNorm(g.scope('group_norm'), x, { numGroups, eps });
  const attended = attention(g, toSequence(g, normalized), { ...options, bias });
  return divided(g, op.add(g, toImage(g, attended, x), x), rescaleOutputFactor);
}

/** Returns the pixels of an image (N, C, H, W) as a sequence (N, H·W, C). */
export function toSequence(g: Scope, x: Value): Value {
  const flat = op.reshape(g, x, [0, requireChannels(g, 'Reshape', x), -1]);
  return op.transpose(g, flat, { perm: [0, 2, 1] });
}

/** Returns a sequence (N, H·W, C) as an image of the shape that `like` (N, C, H, W) has. */
export function toImage(g: Scope, x: Value, like: Value): Value {
  const flat = op.transpose(g, x, { perm: [0, 2, 1] });
  const sizes = like.shape.slice(1);
  const target = isStatic(sizes) ? [0, ...sizes] : op.shape(g, like);
  return op.reshape(g, flat, target, { outputShape: like.shape });
}

/** The names of projections in checkpoints of older versions, and their names today. */
const OLD_PROJECTIONS: Readonly<Record<string, string>> = {
  query: 'to_q',
  key: 'to_k',
  value: 'to_v',
  proj_attn: 'to_out.0',
};

/** Returns today's key for the key of a parameter in an attention of `imageAttention`, which may be an older one. */
export const attentionKey = (key: string): string =>
  key.replace(
    /(?<=(^|\.)attentions\.\d+\.)(query|key|value|proj_attn)(?=\.(weight|bias)$)/,
    (name) => OLD_PROJECTIONS[name]!,
  );
