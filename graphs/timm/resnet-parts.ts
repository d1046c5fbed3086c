/** What timm's ResNets share. Source: timm 1.0, `models/resnet.py`, `models/resnetv2.py`, `layers/classifier.py`. */
import { GraphError } from '../../lib/errors.js';
import type { Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { filledTensor } from '../../lib/half.js';

const GLOBAL_POOLS = ['avg', 'max', 'avgmax', 'catavgmax'] as const;

/** The options that both ResNets have. */
export const RESNET_OPTIONS = {
  layers: { type: 'integers', min: 1, max: 64, default: [3, 4, 6, 3], description: 'blocks of each stage' },
  numClasses: {
    type: 'integer',
    min: 0,
    default: 1000,
    description: 'outputs of the classifier; 0: no classifier, y is the pooled features',
  },
  inChans: { type: 'integer', min: 1, default: 3, description: 'channels of the input' },
  globalPool: {
    type: 'string',
    choices: GLOBAL_POOLS,
    default: 'avg',
    description: 'how the features are pooled: mean, maximum, the mean of both, or both',
  },
  outputStride: {
    type: 'integer',
    min: 8,
    max: 32,
    default: 32,
    description:
      'the size of x over that of the last stage: 8, 16 or 32; below 32, the last stages are dilated',
  },
  avgDown: {
    type: 'boolean',
    default: false,
    description: 'whether shortcuts halve the size by average pooling in place of a stride',
  },
  numGroups: { type: 'integer', min: 1, default: 32, description: 'groups of each GroupNorm' },
} as const;

/** One stage of blocks of the same size. */
export interface Stage {
  readonly index: number;
  readonly channels: number;
  /** The number of blocks. */
  readonly depth: number;
  /** The stride of the first block. */
  readonly stride: number;
  /** The dilation of all blocks but the first, which has `previousDilation`. */
  readonly dilation: number;
  readonly previousDilation: number;
}

/**
 * Returns the stages of a ResNet behind a stem of stride 4: each but the first has stride 2 up to `outputStride`, and doubles the
 * dilation from there.
 * @throws GraphError `INVALID_ATTRIBUTE`.
 */
export function planStages(
  graph: string,
  {
    layers,
    channels,
    outputStride,
  }: { layers: readonly number[]; channels: readonly number[]; outputStride: number },
): Stage[] {
  if (![8, 16, 32].includes(outputStride)) {
    throw invalid(graph, `option 'outputStride' is ${outputStride} but must be 8, 16 or 32`);
  }
  if (layers.length !== channels.length) {
    throw invalid(
      graph,
      `option 'layers' has ${layers.length} stages but 'channels' ${channels.length}; give both for the same stages`,
    );
  }
  let reached = 4;
  let dilation = 1;
  return layers.map((depth, index) => {
    const previousDilation = dilation;
    const step = index === 0 ? 1 : 2;
    const isDilated = reached >= outputStride;
    if (isDilated) dilation *= step;
    else reached *= step;
    return {
      index,
      channels: channels[index]!,
      depth,
      stride: isDilated ? 1 : step,
      dilation,
      previousDilation,
    };
  });
}

export const invalid = (graph: string, problem: string): GraphError =>
  new GraphError('INVALID_ATTRIBUTE', `graph '${graph}': ${problem}`);

/** Returns the padding at both ends that timm gives a convolution, so that it leaves ⌈D / stride⌉ of a size D. */
export const symmetricPadding = (kernelSize: number, stride: number, dilation: number): number =>
  Math.floor((stride - 1 + dilation * (kernelSize - 1)) / 2);

/**
 * Adds the pooling of a shortcut with `avgDown`: the mean of each 2×2 square. A dilated stage keeps the size, and counts the zeros
 * at the ends (`AvgPool2dSame`). Else squares that hang over an end count only what they cover (`ceil_mode`,
 * `count_include_pad=False`).
 */
export function averageDown(
  g: Scope,
  x: Value,
  { stride, dilation }: Pick<Stage, 'stride' | 'dilation'>,
): Value {
  if (stride === 1 && dilation === 1) return x;
  return op.averagePool(g, x, {
    kernelShape: [2, 2],
    strides: [stride, stride],
    pads: [0, 0, 1, 1],
    countIncludePad: dilation > 1,
  });
}

/**
 * Adds timm's global pooling (`SelectAdaptivePool2d`).
 * @param x (N, C, H, W).
 * @returns (N, C, 1, 1), or (N, 2·C, 1, 1) for `catavgmax`.
 */
export function globalPool(g: Scope, x: Value, kind: (typeof GLOBAL_POOLS)[number]): Value {
  if (kind === 'avg') return op.globalAveragePool(g, x);
  const shape = [...x.shape.slice(0, 2), 1, 1];
  const largest = g.node('GlobalMaxPool', [x], {}, [{ dtype: x.dtype, shape }])[0]!;
  if (kind === 'max') return largest;
  const mean = op.globalAveragePool(g, x);
  if (kind === 'catavgmax') return op.concat(g, [mean, largest], { axis: 1 });
  return op.mul(g, op.add(g, mean, largest), g.constant(filledTensor(x.dtype, [1], 0.5)));
}
