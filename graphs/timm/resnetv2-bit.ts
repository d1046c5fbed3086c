/**
 * The network `resnetv2-bit`. Sources: `ResNetV2` of timm 1.0, `models/resnetv2.py`; Kolesnikov et al. 2019 (BiT),
 * arXiv:1912.11370.
 */
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { defineGraph } from '../shared/definition.js';
import { imageInput } from '../shared/input.js';
import { conv } from '../layers/convolution.js';
import { groupNorm } from '../layers/normalization.js';
import { maxPool } from '../layers/resampling.js';
import type { OptionValues } from '../shared/options.js';
import type { Pretrained } from '../shared/pretrained.js';
import {
  averageDown,
  globalPool,
  planStages,
  RESNET_OPTIONS,
  type Stage,
  symmetricPadding,
} from './resnet-parts.js';

const OPTIONS = {
  ...RESNET_OPTIONS,
  channels: {
    type: 'integers',
    min: 1,
    default: [256, 512, 1024, 2048],
    description: 'channels of the output of each stage, before widthFactor',
  },
  widthFactor: {
    type: 'number',
    min: 0,
    default: 1,
    description: 'multiplies all channels; the products are rounded to multiples of 8',
  },
  basic: {
    type: 'boolean',
    default: false,
    description: 'whether blocks are two 3×3 convolutions in place of 1×1, 3×3, 1×1',
  },
  bottleRatio: {
    type: 'number',
    min: 0,
    default: 0.25,
    description: 'channels within a block over those of its output',
  },
  stemType: {
    type: 'string',
    choices: ['', 'fixed', 'same', 'deep', 'deep_fixed', 'deep_same', 'tiered'],
    default: 'fixed',
    description:
      "the first layers: one 7×7 convolution, or three 3×3 convolutions ('deep', 'tiered'); and the padding of the pooling: " +
      "by zeros ('fixed'), as TensorFlow's SAME ('same'), or by −∞",
  },
  stemChs: { type: 'integer', min: 1, default: 64, description: 'channels of the stem, before widthFactor' },
  weightStandardization: {
    type: 'boolean',
    default: true,
    description: 'standardise the weights of convolutions (as StdConv2d of timm)',
  },
  stdEps: { type: 'number', min: 0, default: 1e-8, description: 'added to the variance of the weights' },
} as const;

type Options = OptionValues<typeof OPTIONS>;

/** A pre-activation ResNet with GroupNorm and weight standardisation; the defaults are timm's `resnetv2_50x1_bit`. */
export const resnetV2BitGraph = defineGraph({
  name: 'resnetv2-bit',
  description:
    "timm's pre-activation ResNet of BiT (resnetv2_50x1_bit): input x (N, inChans, H, W), output y (N, numClasses), or the pooled features",
  options: OPTIONS,
  build(options, { dtype, shape }) {
    const g = new GraphBuilder('resnetv2-bit');
    const stages = planStages(g.name, options);
    const image = imageInput(g, { channels: options.inChans, dtype, shape });
    const x = stages.reduce(
      (y, one) => stage(g.scope(`stages.${one.index}.blocks`), y, one, options),
      stem(g.scope('stem'), image, options),
    );
    g.output('y', head(g.scope('head'), normAct(g.scope('norm'), x, options), options));
    return g.build();
  },
});

/** Returns the multiple of 8 next to a number of channels, but not below 0.9 of it. */
function divisibleChannels(channels: number): number {
  const rounded = Math.max(8, Math.floor(Math.floor(channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

interface ConvOptions {
  readonly outChannels: number;
  readonly kernelSize: number;
  readonly stride?: number;
  readonly dilation?: number;
}

function convolution(
  g: Scope,
  x: Value,
  { stride = 1, dilation = 1, ...layer }: ConvOptions,
  { weightStandardization, stdEps }: Options,
): Value {
  const padding = symmetricPadding(layer.kernelSize, stride, dilation);
  const standardizeEps = weightStandardization ? stdEps : undefined;
  return conv(g, x, { ...layer, stride, dilation, padding, bias: false, standardizeEps });
}

/** GroupNorm and ReLU: timm's `GroupNormAct`. */
const normAct = (g: Scope, x: Value, { numGroups }: Options): Value =>
  op.relu(g, groupNorm(g, x, { numGroups }));

/** Quarters H and W; the first block begins with the normalization. */
function stem(g: Scope, x: Value, options: Options): Value {
  const outChannels = divisibleChannels(options.stemChs * options.widthFactor);
  const isTiered = options.stemType === 'tiered';
  const isDeep = isTiered || options.stemType.startsWith('deep');
  if (!isDeep)
    return stemPool(
      g.scope('pool'),
      convolution(g.scope('conv'), x, { outChannels, kernelSize: 7, stride: 2 }, options),
      options,
    );
  const half = Math.floor(outChannels / 2);
  const first = isTiered ? Math.floor((3 * outChannels) / 8) : half;
  const a = convolution(g.scope('conv1'), x, { outChannels: first, kernelSize: 3, stride: 2 }, options);
  const b = convolution(
    g.scope('conv2'),
    normAct(g.scope('norm1'), a, options),
    { outChannels: half, kernelSize: 3 },
    options,
  );
  const y = convolution(
    g.scope('conv3'),
    normAct(g.scope('norm2'), b, options),
    { outChannels, kernelSize: 3 },
    options,
  );
  return stemPool(g.scope('pool'), y, options);
}

/** Max pooling 3×3 with stride 2, padded by zeros, by as many −∞ as the size needs, or by one. */
function stemPool(g: Scope, x: Value, { stemType }: Options): Value {
  if (stemType.endsWith('fixed')) {
    const padded = op.pad(g, x, { pads: [0, 0, 1, 1, 0, 0, 1, 1], listAxes: true });
    return maxPool(g, padded, { kernelSize: 3, stride: 2 });
  }
  if (stemType.endsWith('same')) {
    return op.maxPool(g, x, { kernelShape: [3, 3], strides: [2, 2], autoPad: 'same_upper' });
  }
  return maxPool(g, x, { kernelSize: 3, stride: 2, padding: 1 });
}

function stage(
  g: Scope,
  x: Value,
  { channels, depth, stride, dilation, previousDilation }: Stage,
  options: Options,
): Value {
  const outChannels = divisibleChannels(channels * options.widthFactor);
  const first = { outChannels, stride, dilation, previousDilation, isFirst: true };
  const rest = { outChannels, stride: 1, dilation, previousDilation: dilation, isFirst: false };
  return Array.from({ length: depth }).reduce<Value>(
    (y, _, index) => preActBlock(g.scope(String(index)), y, index === 0 ? first : rest, options),
    x,
  );
}

interface BlockShape extends Pick<Stage, 'stride' | 'dilation' | 'previousDilation'> {
  readonly outChannels: number;
  readonly isFirst: boolean;
}

/** A block whose convolutions follow their normalizations (He et al. 2016, arXiv:1603.05027); the shortcut has neither. */
function preActBlock(g: Scope, x: Value, shape: BlockShape, options: Options): Value {
  const { outChannels, stride, dilation, previousDilation } = shape;
  const midChannels = divisibleChannels(outChannels * options.bottleRatio);
  const layers: ConvOptions[] = options.basic
    ? [
        { outChannels: midChannels, kernelSize: 3, stride, dilation: previousDilation },
        { outChannels, kernelSize: 3, dilation },
      ]
    : [
        { outChannels: midChannels, kernelSize: 1 },
        { outChannels: midChannels, kernelSize: 3, stride, dilation: previousDilation },
        { outChannels, kernelSize: 1 },
      ];
  const activated = normAct(g.scope('norm1'), x, options);
  const y = layers.reduce((input, layer, index) => {
    const normed = index === 0 ? input : normAct(g.scope(`norm${index + 1}`), input, options);
    return convolution(g.scope(`conv${index + 1}`), normed, layer, options);
  }, activated);
  const isProjected =
    shape.isFirst &&
    (!options.basic || stride !== 1 || dilation !== previousDilation || x.shape[1] !== outChannels);
  return op.add(g, y, isProjected ? projection(g.scope('downsample'), activated, shape, options) : x);
}

function projection(
  g: Scope,
  x: Value,
  { outChannels, stride, dilation }: BlockShape,
  options: Options,
): Value {
  if (!options.avgDown)
    return convolution(g.scope('conv'), x, { outChannels, kernelSize: 1, stride }, options);
  const pooled = averageDown(g.scope('pool'), x, { stride, dilation });
  return convolution(g.scope('conv'), pooled, { outChannels, kernelSize: 1 }, options);
}

/** Pooling, and a 1×1 convolution as classifier. */
function head(g: Scope, x: Value, { globalPool: kind, numClasses }: Options): Value {
  const pooled = globalPool(g.scope('global_pool'), x, kind);
  const y =
    numClasses === 0 ? pooled : conv(g.scope('fc'), pooled, { outChannels: numClasses, kernelSize: 1 });
  return op.flatten(g, y);
}

/** The blocks of timm's BiT networks, by the number in their names. */
const LAYERS: Readonly<Record<string, readonly number[]>> = {
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

/** timm's `resnetv2_*_bit`, and `resnetv2_50d_gn`, whose weights are not standardised. */
export const resnetV2BitPretrained: Pretrained = {
  library: 'timm',
  classes: [
    ...['50x1', '50x3', '101x1', '101x3', '152x2', '152x4'].map((size) => `resnetv2_${size}_bit`),
    'resnetv2_50d_gn',
  ],
  graph: resnetV2BitGraph,
  ignored: ['drop_rate', 'drop_path_rate', 'zero_init_last'],
  supported: { act_layer: ['relu'], norm_layer: ['groupnorm'], preact: [true] },
  defaults(className) {
    if (className === 'resnetv2_50d_gn') {
      return { stemType: 'deep', avgDown: true, weightStandardization: false };
    }
    const [, depth, width] = /^resnetv2_(\d+)x(\d)_bit$/.exec(className)!;
    return { layers: LAYERS[depth!], widthFactor: Number(width), stemType: 'fixed' };
  },
};
