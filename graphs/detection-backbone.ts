/** The network `detection-backbone`. */
import { GraphBuilder, type Scope } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import type { Value } from '../lib/graph/types.js';
import { defineGraph } from './shared/definition.js';
import { imageInput, type SizeRule } from './shared/input.js';
import { conv, sharedConv } from './layers/convolution.js';
import { groupNorm } from './layers/normalization.js';
import { maxPool, upsampleNearest } from './layers/resampling.js';
import { requireNumGroups } from './shared/num-groups.js';
import { resnetBlock } from './resnet-block.js';

/** Level 3 has ⌈size / 8⌉ elements along a side, levels 4 and 5 half of that each, rounded up; then both are doubled. */
const SIZES: SizeRule = {
  fits: (size) => Math.ceil(size / 8) % 4 === 0,
  multiple: 32,
  reason:
    'the top-down path doubles p5 to the size of p4 and p4 to that of p3, for which ⌈size / 8⌉ must be a multiple of 4',
};

/** A small ResNet with GroupNorm under a Feature Pyramid Network (Lin et al. 2016, arXiv:1612.03144). */
export const detectionBackboneGraph = defineGraph({
  name: 'detection-backbone',
  description:
    'A ResNet with GroupNorm and a feature pyramid: input x (N, 3, H, W), H and W multiples of 32, outputs p3, p4 and ' +
    'p5 (N, fpnChannels, ...) at strides 8, 16 and 32',
  options: {
    numGroups: { type: 'integer', min: 1, default: 32, description: 'groups of each GroupNorm' },
    width: {
      type: 'integer',
      min: 1,
      default: 64,
      description: 'channels of the first layer, doubled at each further one',
    },
    fpnChannels: { type: 'integer', min: 1, default: 256, description: 'channels of the outputs' },
  },
  build({ numGroups, width, fpnChannels }, { dtype, shape }) {
    const g = new GraphBuilder('detection-backbone');
    requireNumGroups(g.name, numGroups, 'width', width);
    const x = imageInput(g, { channels: 3, dtype, shape, sizes: SIZES });
    const layer1 = stem(g.scope('layer1'), x, { outChannels: width, numGroups });
    const layer2 = stage(g.scope('layer2'), layer1, { outChannels: 2 * width, numGroups });
    const layer3 = stage(g.scope('layer3'), layer2, { outChannels: 4 * width, numGroups });
    const layer4 = stage(g.scope('layer4'), layer3, { outChannels: 8 * width, numGroups });
    const [p5, p4, p3] = pyramid(g, [layer4, layer3, layer2], fpnChannels);
    g.output('p3', p3!);
    g.output('p4', p4!);
    g.output('p5', p5!);
    return g.build();
  },
});

interface StageOptions {
  readonly outChannels: number;
  readonly numGroups: number;
}

/** A 7×7 convolution with stride 2, GroupNorm, ReLU, and 3×3 max pooling with stride 2: quarters H and W. */
function stem(g: Scope, x: Value, { outChannels, numGroups }: StageOptions): Value {
  const y = conv(g.scope('0'), x, { outChannels, kernelSize: 7, stride: 2, padding: 3, bias: false });
  const activated = op.relu(g.scope('2'), groupNorm(g.scope('1'), y, { numGroups }));
  return maxPool(g.scope('3'), activated, { kernelSize: 3, stride: 2, padding: 1 });
}

/** Two residual blocks; the first halves H and W. */
function stage(g: Scope, x: Value, options: StageOptions): Value {
  const first = resnetBlock(g.scope('0'), x, { ...options, stride: 2 });
  return resnetBlock(g.scope('1'), first, options);
}

/**
 * The top-down path: `lateral4` on the deepest features, then at each level its own 1×1 convolution plus the upsampled
 * level above; one 3×3 convolution, `fpn_conv`, shared by all levels.
 * @returns The levels, deepest first, like `features`.
 */
function pyramid(g: GraphBuilder, features: readonly [Value, Value, Value], outChannels: number): Value[] {
  const [layer4, layer3, layer2] = features;
  const lateral = (level: number, x: Value) =>
    conv(g.scope(`lateral${level}`), x, { outChannels, kernelSize: 1 });
  const below = (above: Value, x: Value) => op.add(g, x, upsampleNearest(g, above, { scaleFactor: 2 }));
  const m5 = lateral(4, layer4);
  const m4 = below(m5, lateral(3, layer3));
  const m3 = below(m4, lateral(2, layer2));
  return sharedConv(g.scope('fpn_conv'), [m5, m4, m3], { outChannels, kernelSize: 3, padding: 1 });
}
