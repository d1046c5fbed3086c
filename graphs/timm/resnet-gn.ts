/** The network `resnet-gn`. Source: `ResNet` of timm 1.0, `models/resnet.py`; Wu & He 2018, arXiv:1803.08494. */
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { defineGraph } from '../shared/definition.js';
import { imageInput } from '../shared/input.js';
import { conv } from '../layers/convolution.js';
import { linear } from '../layers/linear.js';
import { groupNorm } from '../layers/normalization.js';
import { maxPool } from '../layers/resampling.js';
import type { OptionValues } from '../shared/options.js';
import { type Pretrained, type PretrainedOptions, unsupportedOption } from '../shared/pretrained.js';
import {
  averageDown,
  globalPool,
  invalid,
  planStages,
  RESNET_OPTIONS,
  type Stage,
  symmetricPadding,
} from './resnet-parts.js';

const OPTIONS = {
  block: {
    type: 'string',
    choices: ['basic', 'bottleneck'],
    default: 'bottleneck',
    description: 'the residual block: two 3×3 convolutions, or 1×1, 3×3, 1×1',
  },
  ...RESNET_OPTIONS,
  channels: {
    type: 'integers',
    min: 1,
    default: [64, 128, 256, 512],
    description: "channels of each stage; a bottleneck's output has four times as many",
  },
  cardinality: {
    type: 'integer',
    min: 1,
    default: 1,
    description: 'groups of the 3×3 convolutions of bottlenecks',
  },
  baseWidth: {
    type: 'integer',
    min: 1,
    default: 64,
    description: 'bottlenecks are channels · baseWidth / 64 · cardinality wide',
  },
  stemType: {
    type: 'string',
    choices: ['', 'deep', 'deep_tiered'],
    default: '',
    description: "the first layers: '' is a 7×7 convolution, the others three 3×3 convolutions",
  },
  stemWidth: {
    type: 'integer',
    min: 1,
    default: 64,
    description: 'channels within a deep stem, which doubles them',
  },
  replaceStemPool: {
    type: 'boolean',
    default: false,
    description: 'whether a convolution replaces the max pooling of the stem',
  },
  blockReduceFirst: {
    type: 'integer',
    min: 1,
    default: 1,
    description: 'divides the channels of the first convolution of each block',
  },
  downKernelSize: {
    type: 'integer',
    min: 1,
    default: 1,
    description: 'kernel of shortcuts that change the size',
  },
} as const;

type Options = OptionValues<typeof OPTIONS>;

/** A ResNet with GroupNorm in place of BatchNorm; the defaults are timm's `resnet50_gn`. */
export const resnetGnGraph = defineGraph({
  name: 'resnet-gn',
  description:
    "timm's ResNet with GroupNorm (resnet50_gn): input x (N, inChans, H, W), output y (N, numClasses), or the pooled features",
  options: OPTIONS,
  build(options, { dtype, shape }) {
    const g = new GraphBuilder('resnet-gn');
    const stages = planStages(g.name, options);
    requireBlock(g.name, options);
    const image = imageInput(g, { channels: options.inChans, dtype, shape });
    const x = stages.reduce(
      (y, one) => stage(g.scope(`layer${one.index + 1}`), y, one, options),
      stem(g, image, options),
    );
    g.output('y', head(g, x, options));
    return g.build();
  },
});

function requireBlock(
  graph: string,
  { block, channels, cardinality, baseWidth, blockReduceFirst }: Options,
): void {
  if (channels.length !== 4)
    throw invalid(graph, `options 'layers' and 'channels' must have 4 elements, not ${channels.length}`);
  if (block === 'basic' && (cardinality !== 1 || baseWidth !== 64)) {
    throw invalid(graph, "options 'cardinality' and 'baseWidth' are for block 'bottleneck', not for 'basic'");
  }
  for (const planes of channels) {
    const first = Math.floor(bottleneckWidth(planes, { baseWidth, cardinality }) / blockReduceFirst);
    if (first >= 1 && first % cardinality === 0) continue;
    throw invalid(
      graph,
      `channels ${planes} with cardinality ${cardinality}, baseWidth ${baseWidth} and blockReduceFirst ` +
        `${blockReduceFirst} give a first convolution of ${first} channels, which must be a multiple of cardinality`,
    );
  }
}

/** The convolution, GroupNorm and ReLU that every part is made of; a convolution has no bias. */
interface LayerOptions {
  readonly outChannels: number;
  readonly kernelSize: number;
  readonly stride?: number;
  readonly dilation?: number;
  readonly groups?: number;
}

/** Adds a convolution under `g`, with timm's padding. */
function convolution(g: Scope, x: Value, { stride = 1, dilation = 1, ...options }: LayerOptions): Value {
  const padding = symmetricPadding(options.kernelSize, stride, dilation);
  return conv(g, x, { ...options, stride, dilation, padding, bias: false });
}

/** Quarters H and W. A plain stem has 64 channels whatever `stemWidth` says, as in timm. */
function stem(g: Scope, x: Value, { stemType, stemWidth, replaceStemPool, numGroups }: Options): Value {
  const isDeep = stemType !== '';
  const normed = (name: string, y: Value) => op.relu(g, groupNorm(g.scope(name), y, { numGroups }));
  const outChannels = isDeep ? 2 * stemWidth : 64;
  const first = isDeep
    ? deepStem(g.scope('conv1'), x, { stemType, stemWidth, numGroups })
    : convolution(g.scope('conv1'), x, { outChannels, kernelSize: 7, stride: 2 });
  const y = normed('bn1', first);
  if (!replaceStemPool) return maxPool(g.scope('maxpool'), y, { kernelSize: 3, stride: 2, padding: 1 });
  return normed('maxpool.1', convolution(g.scope('maxpool.0'), y, { outChannels, kernelSize: 3, stride: 2 }));
}

function deepStem(
  g: Scope,
  x: Value,
  { stemType, stemWidth, numGroups }: Pick<Options, 'stemType' | 'stemWidth' | 'numGroups'>,
): Value {
  const first = stemType === 'deep_tiered' ? 3 * Math.floor(stemWidth / 4) : stemWidth;
  const normed = (name: string, y: Value) => op.relu(g, groupNorm(g.scope(name), y, { numGroups }));
  const a = normed('1', convolution(g.scope('0'), x, { outChannels: first, kernelSize: 3, stride: 2 }));
  const b = normed('4', convolution(g.scope('3'), a, { outChannels: stemWidth, kernelSize: 3 }));
  return convolution(g.scope('6'), b, { outChannels: 2 * stemWidth, kernelSize: 3 });
}

function stage(
  g: Scope,
  x: Value,
  { channels, depth, stride, dilation, previousDilation }: Stage,
  options: Options,
): Value {
  const rest = { channels, stride: 1, dilation, previousDilation: dilation };
  let y = residualBlock(g.scope('0'), x, { channels, stride, dilation, previousDilation }, options);
  for (let i = 1; i < depth; i++) y = residualBlock(g.scope(String(i)), y, rest, options);
  return y;
}

type BlockShape = Omit<Stage, 'index' | 'depth'>;

function residualBlock(g: Scope, x: Value, shape: BlockShape, options: Options): Value {
  const layers = options.block === 'basic' ? basicLayers(shape, options) : bottleneckLayers(shape, options);
  const y = layers.reduce((input, layer, index) => {
    const number = index + 1;
    const convolved = convolution(g.scope(`conv${number}`), input, layer);
    const normed = groupNorm(g.scope(`bn${number}`), convolved, { numGroups: options.numGroups });
    return number < layers.length ? op.relu(g, normed) : normed;
  }, x);
  return op.relu(
    g,
    op.add(g, y, shortcut(g.scope('downsample'), x, shape, layers.at(-1)!.outChannels, options)),
  );
}

/** The stride is in the first convolution. */
function basicLayers(
  { channels, stride, dilation, previousDilation }: BlockShape,
  { blockReduceFirst }: Options,
): LayerOptions[] {
  const first = Math.floor(channels / blockReduceFirst);
  return [
    { outChannels: first, kernelSize: 3, stride, dilation: previousDilation },
    { outChannels: channels, kernelSize: 3, dilation },
  ];
}

/** The stride is in the 3×3 convolution. */
function bottleneckLayers(
  { channels, stride, previousDilation }: BlockShape,
  { cardinality, baseWidth, blockReduceFirst }: Options,
): LayerOptions[] {
  const width = bottleneckWidth(channels, { baseWidth, cardinality });
  return [
    { outChannels: Math.floor(width / blockReduceFirst), kernelSize: 1 },
    { outChannels: width, kernelSize: 3, stride, dilation: previousDilation, groups: cardinality },
    { outChannels: 4 * channels, kernelSize: 1 },
  ];
}

const bottleneckWidth = (
  channels: number,
  { baseWidth, cardinality }: Pick<Options, 'baseWidth' | 'cardinality'>,
): number => Math.floor(channels * (baseWidth / 64)) * cardinality;

/** Adds what makes `x` the shape of a block's result: `x` itself where it has this shape. */
function shortcut(
  g: Scope,
  x: Value,
  { stride, dilation, previousDilation }: BlockShape,
  outChannels: number,
  { avgDown, downKernelSize, numGroups }: Options,
): Value {
  if (stride === 1 && x.shape[1] === outChannels) return x;
  if (avgDown) {
    const pooled = averageDown(g.scope('0'), x, { stride, dilation });
    return groupNorm(g.scope('2'), convolution(g.scope('1'), pooled, { outChannels, kernelSize: 1 }), {
      numGroups,
    });
  }
  const kernelSize = stride === 1 && dilation === 1 ? 1 : downKernelSize;
  const projection = { outChannels, kernelSize, stride, dilation: kernelSize > 1 ? previousDilation : 1 };
  return groupNorm(g.scope('1'), convolution(g.scope('0'), x, projection), { numGroups });
}

function head(g: GraphBuilder, x: Value, { globalPool: kind, numClasses }: Options): Value {
  const features = op.flatten(g.scope('global_pool'), globalPool(g.scope('global_pool'), x, kind));
  return numClasses === 0 ? features : linear(g.scope('fc'), features, { outFeatures: numClasses });
}

/** The blocks of timm's ResNets, by the number in their names. */
const LAYERS: Readonly<Record<string, readonly number[]>> = {
  10: [1, 1, 1, 1],
  14: [1, 1, 1, 1],
  18: [2, 2, 2, 2],
  26: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
  200: [3, 24, 36, 3],
};

/** The depths of the networks with basic blocks. */
const BASIC = ['10', '18', '34'];

/** The stems of timm's ResNets, by the letter behind the number. */
const STEMS: Readonly<Record<string, PretrainedOptions>> = {
  c: { stemType: 'deep', stemWidth: 32 },
  d: { stemType: 'deep', stemWidth: 32, avgDown: true },
  s: { stemType: 'deep', stemWidth: 64 },
  t: { stemType: 'deep_tiered', stemWidth: 32, avgDown: true },
};

/**
 * timm's `resnet50_gn`, and its ResNets with `norm_layer` groupnorm (32 groups) or groupnorm1 (one group) among their arguments.
 */
export const resnetGnPretrained: Pretrained = {
  library: 'timm',
  classes: [
    ...[
      '50_gn',
      '10t',
      '14t',
      '18',
      '18d',
      '26',
      '26d',
      '26t',
      '34',
      '34d',
      '50',
      '50c',
      '50d',
      '50s',
      '50t',
    ],
    ...['101', '101c', '101d', '101s', '152', '152c', '152d', '152s', '200', '200d'],
  ].map((size) => `resnet${size}`),
  graph: resnetGnGraph,
  ignored: ['drop_rate', 'drop_path_rate', 'drop_block_rate', 'zero_init_last'],
  supported: { act_layer: ['relu'], aa_layer: [null, ''], block_args: [null] },
  reads: ['norm_layer'],
  defaults(className) {
    const [, depth, letter] = /^resnet(\d+)([cdst]?)/.exec(className)!;
    return {
      block: BASIC.includes(depth!) ? 'basic' : 'bottleneck',
      layers: LAYERS[depth!],
      ...STEMS[letter!],
    };
  },
  options({ norm_layer: given }, className) {
    const norm = given ?? (className === 'resnet50_gn' ? 'groupnorm' : 'batchnorm');
    if (norm === 'groupnorm') return { numGroups: 32 };
    if (norm === 'groupnorm1') return { numGroups: 1 };
    throw unsupportedOption(className, 'norm_layer', norm, 'groupnorm, groupnorm1');
  },
};
