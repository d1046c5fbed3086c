/**
 * What diffusers' two U-Nets share: options, checks of lists, and the way from block types to the levels of encoder and
 * decoder. Source: diffusers 0.42, `models/unets/unet_2d.py`, `unet_2d_condition.py` and `unet_2d_blocks.py`
 * (`get_down_block`, `get_up_block`).
 */
import { GraphError } from '../../lib/errors.js';
import type { Scope } from '../../lib/graph/builder.js';
import { requireChannels } from '../../lib/graph/checks.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { filledTensor } from '../../lib/half.js';
import type { DType } from '../../lib/tensor.js';
import type { InputLayout } from '../shared/input.js';
import { conv } from '../layers/convolution.js';
import { linear } from '../layers/linear.js';
import { groupNorm } from '../layers/normalization.js';
import { imageAttention, type ImageAttentionOptions } from './attention.js';
import { embedding, timestepEmbedding } from './embeddings.js';
import { activate, type Activation, ACTIVATION_NAMES } from './resnet.js';
import {
  type Attend,
  downBlock,
  type Level,
  type MidBlock,
  midBlock,
  type ResnetOptions,
  type Sampler,
  upBlock,
} from './unet-blocks.js';

/** The most residual blocks of a level and the most blocks of a transformer; published networks have at most half as many. */
export const MAX_LAYERS = 24;

/** The most levels; a size is halved between levels, and published networks have at most 6. */
const MAX_LEVELS = 12;

/** The most channels of a level. A level's first waves have a constant of half as many numbers. */
export const MAX_CHANNELS = 2 ** 16;

/** The options that both networks have, under diffusers' names. */
export const UNET_OPTIONS = {
  centerInputSample: {
    type: 'boolean',
    default: false,
    description: 'map the sample from 0…1 to −1…1 first',
  },
  flipSinToCos: {
    type: 'boolean',
    default: true,
    description: 'put cosines before sines in the time embedding',
  },
  freqShift: {
    type: 'number',
    default: 0,
    description: 'taken off the number of frequencies of the time embedding',
  },
  timeEmbeddingDim: {
    type: 'integer',
    min: 1,
    default: null,
    description: 'channels of the time embedding (default: a multiple of the first of blockOutChannels)',
  },
  downsamplePadding: {
    type: 'integer',
    min: 0,
    max: 1,
    default: 1,
    description:
      'zeros around the input of the convolutions that halve the size; 0 adds one below and one on the right',
  },
  midBlockScaleFactor: {
    type: 'number',
    default: 1,
    description: 'what results in the middle are divided by',
  },
  actFn: { type: 'string', choices: ACTIVATION_NAMES, default: 'silu', description: 'activation function' },
  normNumGroups: { type: 'integer', min: 1, default: 32, description: 'groups of each GroupNorm' },
  normEps: { type: 'number', default: 1e-5, description: 'added to the variance' },
  resnetTimeScaleShift: {
    type: 'string',
    choices: ['default', 'scale_shift'],
    default: 'default',
    description: 'how the time embedding enters a residual block: added, or as scale and shift',
  },
  numClassEmbeds: {
    type: 'integer',
    min: 1,
    default: null,
    description: 'rows of a learned class embedding, for class_labels of int64',
  },
} as const;

/** The keys of a configuration that change nothing in inference. */
export const UNET_IGNORED = ['sample_size', 'dropout'] as const;

/** What the levels of a U-Net are made of. */
export interface UNetPlan {
  readonly blockOutChannels: readonly number[];
  /** The number of residual blocks of each level of the encoder. A level of the decoder has one more. */
  readonly layers: readonly number[];
  readonly downBlockTypes: readonly string[];
  /** From the deepest level up. */
  readonly upBlockTypes: readonly string[];
  readonly resnet: ResnetOptions;
  /** The residual blocks of levels whose type begins with `Resnet`. */
  readonly resnetOfResamplers: ResnetOptions;
  /** Returns the attention of a level whose type begins with `Attn` or with `CrossAttn`; levels count from the top. */
  readonly attention: (kind: 'self' | 'cross', level: number, direction: 'down' | 'up') => Attend;
  /** What changes the size in levels whose type begins with `Attn`. */
  readonly samplers: Readonly<Record<'down' | 'up', Sampler>>;
  readonly downsamplePadding: number;
  /** Whether sizes that the encoder rounds are allowed. */
  readonly anySize: boolean;
  readonly mid: MidBlock | undefined;
}

/**
 * Adds `down_blocks`, `mid_block` and `up_blocks`.
 * @param x (N, C, H, W), any float.
 * @returns (N, C', H, W), C' the first of `blockOutChannels`.
 */
export function unetBody(g: Scope, x: Value, plan: UNetPlan): Value {
  const skips = [x];
  let y = x;
  plan.downBlockTypes.forEach((type, i) => {
    const level = levelOf(plan, type, i, 'down');
    y = downBlock(g.scope(`down_blocks.${i}`), y, level, { skips, padding: plan.downsamplePadding });
  });
  if (plan.mid) y = midBlock(g.scope('mid_block'), y, plan.mid);
  plan.upBlockTypes.forEach((type, i) => {
    const level = levelOf(plan, type, plan.upBlockTypes.length - 1 - i, 'up');
    y = upBlock(g.scope(`up_blocks.${i}`), y, level, { skips, anySize: plan.anySize });
  });
  return y;
}

/** Returns what a block type stands for at a level: its attention, and what changes the size at its end. */
function levelOf(plan: UNetPlan, type: string, level: number, direction: 'down' | 'up'): Level {
  const [, kind] = /^(Attn|CrossAttn|Resnet)?/.exec(type)!;
  const isEnd = level === (direction === 'down' ? plan.layers.length - 1 : 0);
  const sampler = kind === 'Attn' ? plan.samplers[direction] : kind === 'Resnet' ? 'resnet' : 'conv';
  const isAttention = kind === 'Attn' || kind === 'CrossAttn';
  return {
    layers: plan.layers[level]! + (direction === 'up' ? 1 : 0),
    outChannels: plan.blockOutChannels[level]!,
    resnet: kind === 'Resnet' ? plan.resnetOfResamplers : plan.resnet,
    attend: isAttention ? plan.attention(kind === 'Attn' ? 'self' : 'cross', level, direction) : undefined,
    sampler: isEnd ? undefined : sampler,
  };
}

/** Options of {@link selfAttention}. */
interface SelfAttentionOptions extends Omit<ImageAttentionOptions, 'heads' | 'dimHead'> {
  /** The channels of each head; 0 for all channels in one head. */
  readonly headDim: number;
}

/** Returns the attention between the pixels of an image, in as many heads as its channels fill. */
export const selfAttention =
  ({ headDim, ...options }: SelfAttentionOptions): Attend =>
  (g, x) => {
    const channels = requireChannels(g, 'Attention', x);
    const dimHead = headDim === 0 ? channels : headDim;
    const heads = Math.floor(channels / dimHead);
    if (heads > 0) return imageAttention(g, x, { ...options, heads, dimHead });
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe('Attention')}: attentionHeadDim ${headDim} is more than the ${channels} channels of the level`,
    );
  };

/**
 * Returns the dtype of the input `timestep`: int64, or a float for the logarithm or the phase of waves of learned frequencies,
 * for which float16 has too few digits.
 */
export function stepDType(timeEmbeddingType: string, dtype: DType): DType {
  if (timeEmbeddingType !== 'fourier') return 'int64';
  return dtype === 'float64' ? 'float64' : 'float32';
}

/** Options of {@link classLabels} and {@link classEmbedding}. */
export interface ClassOptions {
  readonly classEmbedType: 'timestep' | 'identity' | 'projection' | 'simple_projection' | null;
  readonly numClassEmbeds: number | null;
  /** The channels of `class_labels` for the two projections. */
  readonly inputDim?: number | undefined;
  /** The channels of the time embedding. */
  readonly channels: number;
}

/** Returns the layout of the input `class_labels`; `undefined` without a class embedding. */
export function classLabels(
  { classEmbedType, numClassEmbeds, inputDim, channels }: ClassOptions,
  timestep: InputLayout,
): InputLayout | undefined {
  switch (classEmbedType) {
    case null:
      return numClassEmbeds === null ? undefined : { layout: ['N'], dtype: 'int64' };
    case 'timestep':
      return timestep;
    case 'identity':
      return { layout: ['N', channels] };
    default:
      return { layout: ['N', inputDim!] };
  }
}

/**
 * Adds `class_embedding`.
 * @param labels As {@link classLabels} describes them.
 * @param project `time_proj`, for labels that are time steps.
 * @returns (N, channels).
 */
export function classEmbedding(
  g: Scope,
  labels: Value,
  { classEmbedType, numClassEmbeds, channels }: ClassOptions,
  {
    project,
    activation,
    dtype,
  }: { readonly project: (t: Value) => Value; activation: Activation; dtype: DType },
): Value {
  switch (classEmbedType) {
    case null:
      return embedding(g, { numEmbeddings: numClassEmbeds!, channels, dtype })(labels);
    case 'timestep':
      return timestepEmbedding(g, project(labels), { channels, activation });
    case 'identity':
      return labels;
    case 'projection':
      return timestepEmbedding(g, labels, { channels });
    case 'simple_projection':
      return linear(g, labels, { outFeatures: channels });
  }
}

/** Returns 2·x − 1. */
export function centred(g: Scope, x: Value): Value {
  const number = (value: number) => g.constant(filledTensor(x.dtype, [], value));
  return op.sub(g, op.mul(g, x, number(2)), number(1));
}

/** Adds `conv_norm_out`, the activation and `conv_out`: the end of both networks. */
export function unetHead(
  g: Scope,
  x: Value,
  options: {
    readonly outChannels: number;
    readonly kernelSize: number;
    readonly numGroups: number;
    readonly eps: number;
    readonly activation: Activation;
  },
): Value {
  const { outChannels, kernelSize, activation, ...norm } = options;
  const activated = activate(g, groupNorm(g.scope('conv_norm_out'), x, norm), activation);
  const padding = Math.floor((kernelSize - 1) / 2);
  return conv(g.scope('conv_out'), activated, { outChannels, kernelSize, padding });
}

/** Requires lists that have one element for each level. @throws GraphError `INVALID_ATTRIBUTE`. */
export function requireLevels(
  graph: string,
  levels: number,
  lists: Readonly<Record<string, readonly unknown[]>>,
): void {
  if (levels > MAX_LEVELS) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `graph '${graph}': option 'blockOutChannels' has ${levels} levels, but at most ${MAX_LEVELS} are allowed`,
    );
  }
  for (const [name, { length }] of Object.entries(lists)) {
    if (length === levels) continue;
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `graph '${graph}': option '${name}' has ${length} elements, but blockOutChannels has ${levels}: ` +
        'each must have one for each level',
    );
  }
}

/** The most blocks of transformers: Stable Diffusion XL has 70. */
const MAX_TRANSFORMER_BLOCKS = 500;

/**
 * Requires a number of blocks that can be built: a configuration of few bytes may ask for any number of blocks.
 * @throws GraphError `INVALID_ATTRIBUTE`.
 */
export function requireTransformerBlocks(graph: string, blocks: number): void {
  if (blocks <= MAX_TRANSFORMER_BLOCKS) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `graph '${graph}': layersPerBlock and transformerLayersPerBlock ask for ${blocks} blocks of transformers, but at most ` +
      `${MAX_TRANSFORMER_BLOCKS} are allowed`,
  );
}

/**
 * Returns a list with one element for each level. A list of one element holds for all levels.
 * @throws GraphError `INVALID_ATTRIBUTE`.
 */
export function perLevel<T>(graph: string, name: string, list: readonly T[], levels: number): readonly T[] {
  const full = list.length === 1 ? Array<T>(levels).fill(list[0]!) : list;
  requireLevels(graph, levels, { [name]: full });
  return full;
}

/**
 * Returns the number that all elements of a list are.
 * @throws GraphError `INVALID_ATTRIBUTE` if they differ.
 */
export function requireOneNumber(graph: string, name: string, list: readonly number[]): number {
  const [first] = list;
  if (list.every((number) => number === first)) return first!;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `graph '${graph}': option '${name}' is ${list.join(', ')}, but must be the same number for all levels, because they ` +
      'read the same input',
  );
}

/**
 * Returns the value of an option that another option needs.
 * @throws GraphError `INVALID_ATTRIBUTE`.
 */
export function neededBy<T>(graph: string, reason: string, name: string, value: T | null): T {
  if (value !== null) return value;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `graph '${graph}': option '${name}' must be given, because ${reason}`,
  );
}

/** Returns the key of today for a key of the attention in checkpoints of diffusers before 0.15. */
export const newAttentionKey = (key: string): string =>
  key.replace(
    /(attentions\.\d+)\.(query|key|value|proj_attn)\./,
    (_, block: string, name: string) => `${block}.${OLD_ATTENTION_NAMES[name]}.`,
  );

const OLD_ATTENTION_NAMES: Readonly<Record<string, string>> = {
  query: 'to_q',
  key: 'to_k',
  value: 'to_v',
  proj_attn: 'to_out.0',
};
