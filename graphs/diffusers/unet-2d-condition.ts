/**
 * The network `unet-2d-condition`: diffusers' `UNet2DConditionModel`. Source: diffusers 0.42,
 * `models/unets/unet_2d_condition.py`.
 */
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import type { DType } from '../../lib/tensor.js';
import { defineGraph, type InputType } from '../shared/definition.js';
import { declareInputs, type InputLayout } from '../shared/input.js';
import { conv } from '../layers/convolution.js';
import { linear } from '../layers/linear.js';
import type { OptionValues } from '../shared/options.js';
import type { Pretrained } from '../shared/pretrained.js';
import { gaussianFourierProjection, timestepEmbedding, timesteps } from './embeddings.js';
import { activate, ACTIVATION_NAMES } from './resnet.js';
import { transformer2d } from './transformer.js';
import {
  centred,
  classEmbedding,
  type ClassOptions,
  classLabels,
  MAX_CHANNELS,
  MAX_LAYERS,
  neededBy,
  newAttentionKey,
  perLevel,
  requireLevels,
  requireOneNumber,
  requireTransformerBlocks,
  selfAttention,
  stepDType,
  UNET_IGNORED,
  UNET_OPTIONS,
  unetBody,
  unetHead,
  type UNetPlan,
} from './unet.js';
import type { Attend, ResnetOptions } from './unet-blocks.js';

const NAME = 'unet-2d-condition';

const ACTIVATION = { type: 'string', choices: ACTIVATION_NAMES, default: null } as const;
const SIZE = { type: 'integer', min: 1, max: MAX_CHANNELS, default: null } as const;
const KERNEL = { type: 'integer', min: 1, max: 15, default: 3 } as const;

const OPTIONS = {
  inChannels: { type: 'integer', min: 1, default: 4, description: 'channels of the sample' },
  outChannels: { type: 'integer', min: 1, default: 4, description: 'channels of the output' },
  ...UNET_OPTIONS,
  timeEmbeddingType: {
    type: 'string',
    choices: ['positional', 'fourier'],
    default: 'positional',
    description: 'the time embedding: fixed waves of the step, or waves of learned frequencies',
  },
  timeEmbeddingActFn: { ...ACTIVATION, description: 'activation after all embeddings are added' },
  timestepPostAct: { ...ACTIVATION, description: 'activation after the time embedding' },
  timeCondProjDim: { ...SIZE, description: 'channels of the input timestep_cond' },
  blockOutChannels: {
    type: 'integers',
    min: 1,
    max: MAX_CHANNELS,
    default: [320, 640, 1280, 1280],
    description: 'channels of each level',
  },
  downBlockTypes: {
    type: 'strings',
    choices: ['CrossAttnDownBlock2D', 'DownBlock2D', 'AttnDownBlock2D', 'ResnetDownsampleBlock2D'],
    default: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
    description: 'blocks of the encoder, from the top down',
  },
  midBlockType: {
    type: 'string',
    choices: ['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D', 'none'],
    default: 'UNetMidBlock2DCrossAttn',
    description: 'the block in the middle; UNetMidBlock2D is one residual block',
  },
  upBlockTypes: {
    type: 'strings',
    choices: ['CrossAttnUpBlock2D', 'UpBlock2D', 'AttnUpBlock2D', 'ResnetUpsampleBlock2D'],
    default: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
    description: 'blocks of the decoder, from the deepest level up',
  },
  layersPerBlock: {
    type: 'integers',
    min: 1,
    max: MAX_LAYERS,
    default: [2],
    description:
      'residual blocks of each level of the encoder, one number for all levels or one for each; the decoder has one more',
  },
  attentionHeadDim: {
    type: 'integers',
    min: 1,
    default: [8],
    description:
      'heads of the attention, one number for all levels or one for each (in AttnDownBlock2D and AttnUpBlock2D: channels of a head)',
  },
  transformerLayersPerBlock: {
    type: 'integers',
    min: 1,
    max: MAX_LAYERS,
    default: [1],
    description: 'blocks of each transformer, one number for all levels or one for each',
  },
  reverseTransformerLayersPerBlock: {
    type: 'integers',
    min: 1,
    max: MAX_LAYERS,
    default: null,
    description:
      'blocks of each transformer of the decoder, from the deepest level up (default: as in the encoder)',
  },
  crossAttentionDim: {
    type: 'integers',
    min: 1,
    default: [1280],
    description: 'channels of the sequence that cross-attention reads, the same number for all levels',
  },
  encoderHidDim: {
    ...SIZE,
    description: 'channels of encoder_hidden_states, if a linear layer gives them crossAttentionDim',
  },
  onlyCrossAttention: {
    type: 'booleans',
    default: [false],
    description:
      'read encoder_hidden_states in the first attention of a transformer too, for all levels or for each',
  },
  useLinearProjection: {
    type: 'boolean',
    default: false,
    description: 'project with linear layers in place of convolutions before and after a transformer',
  },
  upcastAttention: {
    type: 'boolean',
    default: false,
    description: 'take the scores of the attention in float32 in a model of float16 or bfloat16',
  },
  resnetSkipTimeAct: {
    type: 'boolean',
    default: false,
    description: 'do not activate the time embedding in ResnetDownsampleBlock2D and ResnetUpsampleBlock2D',
  },
  resnetOutScaleFactor: {
    type: 'number',
    default: 1,
    description: 'what results in ResnetDownsampleBlock2D and ResnetUpsampleBlock2D are divided by',
  },
  classEmbedType: {
    type: 'string',
    choices: ['timestep', 'identity', 'projection', 'simple_projection'],
    default: null,
    description: 'what class_labels are: further time steps, an embedding, or vectors to project',
  },
  projectionClassEmbeddingsInputDim: {
    ...SIZE,
    description:
      'channels of class_labels before their projection, or of text_embeds and the waves of time_ids together',
  },
  classEmbeddingsConcat: {
    type: 'boolean',
    default: false,
    description: 'put the class embedding beside the time embedding in place of adding it',
  },
  additionEmbedType: {
    type: 'string',
    choices: ['text_time'],
    default: null,
    description: 'further conditions: text_embeds and time_ids, as Stable Diffusion XL has them',
  },
  additionTimeEmbedDim: { ...SIZE, description: 'channels of the waves of each element of time_ids' },
  convInKernel: { ...KERNEL, description: 'size of the kernel of the first convolution' },
  convOutKernel: { ...KERNEL, description: 'size of the kernel of the last convolution' },
} as const;

type ConditionOptions = OptionValues<typeof OPTIONS>;

/**
 * A graph of `UNet2DConditionModel`: denoises images under a text, as Stable Diffusion does (Rombach et al. 2021,
 * arXiv:2112.10752).
 */
export const unet2dConditionGraph = defineGraph({
  name: NAME,
  description:
    "diffusers' UNet2DConditionModel: inputs sample (N, inChannels, H, W), timestep (N), encoder_hidden_states (N, S, " +
    'crossAttentionDim), by the options class_labels, timestep_cond, text_embeds and time_ids, output y (N, outChannels, H, W)',
  options: OPTIONS,
  build(options, input) {
    const { blockOutChannels, downBlockTypes, upBlockTypes } = options;
    requireLevels(NAME, blockOutChannels.length, { downBlockTypes, upBlockTypes });
    const g = new GraphBuilder(NAME);
    const inputs = inputsOf(g, input, options);
    const embedded = embed(g, inputs, options, input.dtype);
    const context = contextOf(g, inputs.encoder_hidden_states, options);
    const start = options.centerInputSample ? centred(g, inputs.sample) : inputs.sample;
    const { convInKernel: kernelSize } = options;
    const padding = Math.floor((kernelSize - 1) / 2);
    const stem = conv(g.scope('conv_in'), start, { outChannels: blockOutChannels[0]!, kernelSize, padding });
    const y = unetHead(g, unetBody(g, stem, planOf(g, { embedded, context }, options)), {
      outChannels: options.outChannels,
      kernelSize: options.convOutKernel,
      numGroups: options.normNumGroups,
      eps: options.normEps,
      activation: options.actFn,
    });
    g.output('y', y);
    return g.build();
  },
});

/** Declares the inputs that the options ask for, in the order of PyTorch's `forward`. */
function inputsOf(g: GraphBuilder, input: InputType & { dtype: DType }, options: ConditionOptions) {
  const { inChannels, encoderHidDim, timeCondProjDim, additionEmbedType } = options;
  const channels = encoderHidDim ?? requireOneNumber(NAME, 'crossAttentionDim', options.crossAttentionDim);
  const timestep: InputLayout = { layout: ['N'], dtype: stepDType(options.timeEmbeddingType, input.dtype) };
  return declareInputs(g, input, {
    sample: { layout: ['N', inChannels, 'H', 'W'] },
    timestep,
    encoder_hidden_states: { layout: ['N', 'S', channels] },
    class_labels: classLabels(classesOf(options), timestep),
    timestep_cond: timeCondProjDim === null ? undefined : { layout: ['N', timeCondProjDim] },
    text_embeds: additionEmbedType === null ? undefined : { layout: ['N', 'E'] },
    time_ids: additionEmbedType === null ? undefined : { layout: ['N', 'I'] },
  });
}

type Inputs = ReturnType<typeof inputsOf>;

/** Returns the channels of the time embedding. */
const embeddingChannels = ({
  timeEmbeddingDim,
  timeEmbeddingType,
  blockOutChannels,
}: ConditionOptions): number =>
  timeEmbeddingDim ?? (timeEmbeddingType === 'fourier' ? 2 : 4) * blockOutChannels[0]!;

function classesOf(options: ConditionOptions): ClassOptions {
  const { classEmbedType, projectionClassEmbeddingsInputDim: given } = options;
  const projects = classEmbedType === 'projection' || classEmbedType === 'simple_projection';
  const inputDim = projects ? projectionInput(`classEmbedType is ${classEmbedType}`, given) : undefined;
  return { ...options, inputDim, channels: embeddingChannels(options) };
}

const projectionInput = (reason: string, given: number | null): number =>
  neededBy(NAME, reason, 'projectionClassEmbeddingsInputDim', given);

/** Adds the embeddings of the time step, of the class and of the further conditions, and returns their sum (N, T). */
function embed(g: Scope, inputs: Inputs, options: ConditionOptions, dtype: DType): Value {
  const { timestep, class_labels, timestep_cond: condition, text_embeds, time_ids } = inputs;
  const { actFn: activation, timeEmbeddingActFn } = options;
  const classes = classesOf(options);
  const { channels } = classes;
  const project = timeProjection(g.scope('time_proj'), dtype, options);
  const postActivation = options.timestepPostAct;
  let sum = timestepEmbedding(g.scope('time_embedding'), project(timestep), {
    channels,
    activation,
    postActivation,
    condition,
  });
  if (class_labels) {
    const shared = { project, activation, dtype };
    const labels = classEmbedding(g.scope('class_embedding'), class_labels, classes, shared);
    sum = options.classEmbeddingsConcat ? op.concat(g, [sum, labels], { axis: 1 }) : op.add(g, sum, labels);
  }
  if (text_embeds && time_ids) sum = op.add(g, sum, textTimeEmbedding(g, { text_embeds, time_ids }, options));
  return timeEmbeddingActFn === null ? sum : activate(g, sum, timeEmbeddingActFn);
}

/** Adds `time_proj` and returns it as a function. */
function timeProjection(g: Scope, dtype: DType, options: ConditionOptions): (t: Value) => Value {
  const { timeEmbeddingType, blockOutChannels, flipSinToCos, freqShift } = options;
  if (timeEmbeddingType === 'fourier') {
    const embeddingSize = embeddingChannels(options) / 2;
    return gaussianFourierProjection(g, dtype, { embeddingSize, log: false, flipSinToCos });
  }
  return (t) => timesteps(g, t, { channels: blockOutChannels[0]!, flipSinToCos, freqShift, dtype });
}

/** Adds `add_embedding` of a pooled text (N, E) and of the waves of the sizes and the crop (N, I) of an image. */
function textTimeEmbedding(
  g: Scope,
  { text_embeds, time_ids }: { readonly text_embeds: Value; readonly time_ids: Value },
  options: ConditionOptions,
): Value {
  const reason = 'additionEmbedType is text_time';
  const { additionTimeEmbedDim, flipSinToCos, freqShift } = options;
  const waves = timesteps(g.scope('add_time_proj'), time_ids, {
    channels: neededBy(NAME, reason, 'additionTimeEmbedDim', additionTimeEmbedDim),
    flipSinToCos,
    freqShift,
    dtype: text_embeds.dtype,
  });
  const joined = op.concat(g, [text_embeds, op.reshape(g, waves, [0, -1])], { axis: 1 });
  // Only the sum of the two widths is known from the options; the runtime compares it with that of the inputs.
  const width = projectionInput(reason, options.projectionClassEmbeddingsInputDim);
  const channels = embeddingChannels(options);
  return timestepEmbedding(g.scope('add_embedding'), op.reshape(g, joined, [0, width]), { channels });
}

/** Returns what cross-attention reads: the states of the text, projected if they have other channels. */
function contextOf(g: Scope, states: Value, { encoderHidDim, crossAttentionDim }: ConditionOptions): Value {
  if (encoderHidDim === null) return states;
  const outFeatures = requireOneNumber(NAME, 'crossAttentionDim', crossAttentionDim);
  return linear(g.scope('encoder_hid_proj'), states, { outFeatures });
}

function planOf(
  g: Scope,
  { embedded, context }: { readonly embedded: Value; readonly context: Value },
  options: ConditionOptions,
): UNetPlan {
  const levels = options.blockOutChannels.length;
  const { normNumGroups: numGroups, normEps: eps, actFn: activation } = options;
  const each = <T>(name: string, list: readonly T[]) => perLevel(NAME, name, list, levels);
  const heads = each('attentionHeadDim', options.attentionHeadDim);
  const onlyCross = each('onlyCrossAttention', options.onlyCrossAttention);
  const down = each('transformerLayersPerBlock', options.transformerLayersPerBlock);
  const reversed = options.reverseTransformerLayersPerBlock;
  const up = reversed ? [...each('reverseTransformerLayersPerBlock', reversed)].reverse() : down;
  const layers = each('layersPerBlock', options.layersPerBlock);
  const blocks = layers.map((count, level) => count * down[level]! + (count + 1) * up[level]!);
  requireTransformerBlocks(
    NAME,
    blocks.reduce((sum, count) => sum + count),
  );
  const activated = activate(g, embedded, activation);
  const resnet: ResnetOptions = {
    numGroups,
    eps,
    activation,
    timeEmbedding: activated,
    skipTimeActivation: true,
    timeScaleShift: options.resnetTimeScaleShift,
  };
  const cross =
    (level: number, layers: number, onlyCrossAttention: boolean): Attend =>
    (scope, x) =>
      transformer2d(scope, x, {
        heads: heads[level]!,
        layers,
        numGroups,
        context,
        onlyCrossAttention,
        useLinearProjection: options.useLinearProjection,
        upcast: options.upcastAttention,
      });
  return {
    ...options,
    layers,
    resnet,
    resnetOfResamplers: {
      ...resnet,
      timeEmbedding: options.resnetSkipTimeAct ? embedded : activated,
      outputScaleFactor: options.resnetOutScaleFactor,
    },
    attention: (kind, level, direction) =>
      kind === 'self'
        ? // diffusers reverses the list for the decoder's transformers, but not for its AttnUpBlock2D.
          selfAttention({
            headDim: heads[direction === 'down' ? level : levels - 1 - level]!,
            eps,
            numGroups,
          })
        : cross(level, (direction === 'down' ? down : up)[level]!, onlyCross[level]!),
    samplers: { down: 'conv', up: 'conv' },
    anySize: true,
    mid:
      options.midBlockType === 'none'
        ? undefined
        : {
            resnet: { ...resnet, outputScaleFactor: options.midBlockScaleFactor },
            attends:
              options.midBlockType === 'UNetMidBlock2D' ? [] : [cross(levels - 1, down[levels - 1]!, false)],
          },
  };
}

/** How a folder of `UNet2DConditionModel` is read. */
export const unet2dConditionPretrained: Pretrained = {
  library: 'diffusers',
  classes: ['UNet2DConditionModel'],
  graph: unet2dConditionGraph,
  // The last two are for blocks and conditions that are not supported.
  ignored: [...UNET_IGNORED, 'mid_block_only_cross_attention', 'addition_embed_type_num_heads'],
  supported: {
    dual_cross_attention: [false],
    num_attention_heads: [null],
    encoder_hid_dim_type: [null, 'text_proj'],
    attention_type: ['default'],
    cross_attention_norm: [null],
  },
  reads: ['mid_block_type'],
  options: ({ mid_block_type: mid = 'UNetMidBlock2DCrossAttn' }) => ({ midBlockType: mid ?? 'none' }),
  parameterKey: newAttentionKey,
};
