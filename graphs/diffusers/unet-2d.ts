/** The network `unet-2d`: diffusers' `UNet2DModel`. Source: diffusers 0.42, `models/unets/unet_2d.py`. */
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import type { DType } from '../../lib/tensor.js';
import { defineGraph } from '../shared/definition.js';
import { declareInputs, type InputLayout, type SizeRule } from '../shared/input.js';
import { conv } from '../layers/convolution.js';
import type { OptionValues } from '../shared/options.js';
import type { Pretrained } from '../shared/pretrained.js';
import { embedding, gaussianFourierProjection, timestepEmbedding, timesteps, toDType } from './embeddings.js';
import { activate } from './resnet.js';
import {
  centred,
  classEmbedding,
  classLabels,
  MAX_CHANNELS,
  MAX_LAYERS,
  neededBy,
  newAttentionKey,
  requireLevels,
  selfAttention,
  stepDType,
  UNET_IGNORED,
  UNET_OPTIONS,
  unetBody,
  unetHead,
  type UNetPlan,
} from './unet.js';
import type { ResnetOptions } from './unet-blocks.js';

const NAME = 'unet-2d';

const SAMPLERS = ['conv', 'resnet'] as const;

const OPTIONS = {
  inChannels: { type: 'integer', min: 1, default: 3, description: 'channels of the sample' },
  outChannels: { type: 'integer', min: 1, default: 3, description: 'channels of the output' },
  ...UNET_OPTIONS,
  timeEmbeddingType: {
    type: 'string',
    choices: ['positional', 'fourier', 'learned'],
    default: 'positional',
    description:
      'the time embedding: fixed waves of the step, waves of learned frequencies, or a row for each step',
  },
  numTrainTimesteps: {
    type: 'integer',
    min: 1,
    default: null,
    description: 'steps of the learned time embedding',
  },
  blockOutChannels: {
    type: 'integers',
    min: 1,
    max: MAX_CHANNELS,
    default: [224, 448, 672, 896],
    description: 'channels of each level',
  },
  downBlockTypes: {
    type: 'strings',
    choices: ['DownBlock2D', 'AttnDownBlock2D', 'ResnetDownsampleBlock2D'],
    default: ['DownBlock2D', 'AttnDownBlock2D', 'AttnDownBlock2D', 'AttnDownBlock2D'],
    description: 'blocks of the encoder, from the top down',
  },
  midBlockType: {
    type: 'string',
    choices: ['UNetMidBlock2D', 'none'],
    default: 'UNetMidBlock2D',
    description: 'the block in the middle',
  },
  upBlockTypes: {
    type: 'strings',
    choices: ['UpBlock2D', 'AttnUpBlock2D', 'ResnetUpsampleBlock2D'],
    default: ['AttnUpBlock2D', 'AttnUpBlock2D', 'AttnUpBlock2D', 'UpBlock2D'],
    description: 'blocks of the decoder, from the deepest level up',
  },
  layersPerBlock: {
    type: 'integer',
    min: 1,
    max: MAX_LAYERS,
    default: 2,
    description: 'residual blocks of each level of the encoder; the decoder has one more',
  },
  downsampleType: {
    type: 'string',
    choices: SAMPLERS,
    default: 'conv',
    description: 'what halves the size after AttnDownBlock2D',
  },
  upsampleType: {
    type: 'string',
    choices: SAMPLERS,
    default: 'conv',
    description: 'what doubles the size after AttnUpBlock2D',
  },
  attentionHeadDim: {
    type: 'integer',
    min: 0,
    default: 8,
    description: 'channels of each head of the attention; 0: all channels in one head',
  },
  addAttention: { type: 'boolean', default: true, description: 'add attention in the middle' },
  attnNormNumGroups: {
    type: 'integer',
    min: 1,
    default: null,
    description: "groups of the attention's GroupNorm in the middle (default: normNumGroups)",
  },
  classEmbedType: {
    type: 'string',
    choices: ['timestep', 'identity'],
    default: null,
    description: 'what class_labels are: further time steps, or an embedding',
  },
} as const;

type UNet2dOptions = OptionValues<typeof OPTIONS>;

/** A graph of `UNet2DModel`: denoises images without a text, such as those of DDPM (Ho et al. 2020, arXiv:2006.11239). */
export const unet2dGraph = defineGraph({
  name: NAME,
  description:
    "diffusers' UNet2DModel: inputs sample (N, inChannels, H, W), timestep (N) and, with a class embedding, class_labels, " +
    'output y (N, outChannels, H, W)',
  options: OPTIONS,
  build(options, input) {
    const { inChannels, blockOutChannels, downBlockTypes, upBlockTypes, timeEmbeddingType } = options;
    const levels = blockOutChannels.length;
    requireLevels(NAME, levels, { downBlockTypes, upBlockTypes });
    const g = new GraphBuilder(NAME);
    const classes = { ...options, channels: embeddingChannels(options) };
    const step: InputLayout = { layout: ['N'], dtype: stepDType(timeEmbeddingType, input.dtype) };
    const { sample, timestep, class_labels } = declareInputs(g, input, {
      sample: { layout: ['N', inChannels, 'H', 'W'], sizes: sizesFor(levels) },
      timestep: step,
      class_labels: classLabels(classes, step),
    });
    const project = timeProjection(g.scope('time_proj'), input.dtype, options);
    const time = timestepEmbedding(g.scope('time_embedding'), project(timestep), classes);
    const embedded = class_labels
      ? op.add(
          g,
          time,
          classEmbedding(g.scope('class_embedding'), class_labels, classes, {
            project,
            activation: 'silu',
            dtype: input.dtype,
          }),
        )
      : time;
    const start = options.centerInputSample ? centred(g, sample) : sample;
    const stem = conv(g.scope('conv_in'), start, {
      outChannels: blockOutChannels[0]!,
      kernelSize: 3,
      padding: 1,
    });
    const y = unetHead(g, unetBody(g, stem, planOf(g, embedded, options)), {
      outChannels: options.outChannels,
      kernelSize: 3,
      numGroups: options.normNumGroups,
      eps: options.normEps,
      activation: 'silu',
    });
    g.output('y', timeEmbeddingType === 'fourier' ? perStep(g, y, timestep) : y);
    return g.build();
  },
});

/** Sizes are halved between levels and doubled again to meet the skip connections. */
const sizesFor = (levels: number): SizeRule => ({
  fits: (size) => size % 2 ** (levels - 1) === 0,
  multiple: 2 ** (levels - 1),
  reason: `it is halved ${levels - 1} times and doubled back to meet the skip connections`,
});

const embeddingChannels = ({ timeEmbeddingDim, blockOutChannels }: UNet2dOptions): number =>
  timeEmbeddingDim ?? 4 * blockOutChannels[0]!;

/** Adds `time_proj` and returns it as a function. */
function timeProjection(g: Scope, dtype: DType, options: UNet2dOptions): (t: Value) => Value {
  const { timeEmbeddingType, numTrainTimesteps, flipSinToCos, freqShift } = options;
  const channels = options.blockOutChannels[0]!;
  switch (timeEmbeddingType) {
    case 'positional':
      return (t) => timesteps(g, t, { channels, flipSinToCos, freqShift, dtype });
    case 'fourier':
      return gaussianFourierProjection(g, dtype, { embeddingSize: channels, log: true, flipSinToCos: false });
    case 'learned': {
      const numEmbeddings = neededBy(
        NAME,
        'the time embedding is learned',
        'numTrainTimesteps',
        numTrainTimesteps,
      );
      return embedding(g, { numEmbeddings, channels, dtype });
    }
  }
}

function planOf(g: Scope, embedded: Value, options: UNet2dOptions): UNetPlan {
  const { normNumGroups, attnNormNumGroups, normEps: eps, actFn: activation } = options;
  const { attentionHeadDim: headDim, resnetTimeScaleShift: timeScaleShift } = options;
  const resnet: ResnetOptions = {
    numGroups: normNumGroups,
    eps,
    activation,
    timeEmbedding: activate(g, embedded, activation),
    skipTimeActivation: true,
    timeScaleShift,
  };
  const outputScaleFactor = options.midBlockScaleFactor;
  const midGroups = attnNormNumGroups ?? (timeScaleShift === 'default' ? normNumGroups : undefined);
  const midAttention = selfAttention({
    headDim,
    eps,
    numGroups: midGroups,
    rescaleOutputFactor: outputScaleFactor,
  });
  return {
    ...options,
    layers: options.blockOutChannels.map(() => options.layersPerBlock),
    resnet,
    resnetOfResamplers: resnet,
    attention: () => selfAttention({ headDim, eps, numGroups: normNumGroups }),
    samplers: { down: options.downsampleType, up: options.upsampleType },
    anySize: false,
    mid:
      options.midBlockType === 'none'
        ? undefined
        : {
            resnet: { ...resnet, outputScaleFactor },
            attends: [options.addAttention ? midAttention : undefined],
          },
  };
}

/** Divides each sample by its `timestep`, the level of its noise. */
const perStep = (g: Scope, x: Value, timestep: Value): Value =>
  op.div(g, x, op.unsqueeze(g, toDType(g, timestep, x.dtype), { axes: [1, 2, 3] }));

/** How a folder of `UNet2DModel` is read. */
export const unet2dPretrained: Pretrained = {
  library: 'diffusers',
  classes: ['UNet2DModel'],
  graph: unet2dGraph,
  ignored: UNET_IGNORED,
  reads: ['attention_head_dim', 'mid_block_type'],
  options: ({ attention_head_dim: headDim = 8, mid_block_type: mid = 'UNetMidBlock2D' }) => ({
    attentionHeadDim: headDim ?? 0,
    midBlockType: mid ?? 'none',
  }),
  parameterKey: newAttentionKey,
};
