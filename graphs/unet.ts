/** The network `unet`. */
import { GraphBuilder } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import type { Value } from '../lib/graph/types.js';
import { defineGraph } from './shared/definition.js';
import { doubleConv } from './double-conv.js';
import { imageInput, type SizeRule } from './shared/input.js';
import { conv, convTranspose } from './layers/convolution.js';
import { maxPool } from './layers/resampling.js';
import { requireNumGroups } from './shared/num-groups.js';
import type { OptionValues } from './shared/options.js';

/** The levels of the encoder: `width` times 1, 2, 4 and 8 channels. The bottleneck has 16 times `width`. */
const LEVELS = [1, 2, 3, 4];

const OPTIONS = {
  inChannels: { type: 'integer', min: 1, default: 3, description: 'channels of the image' },
  numClasses: { type: 'integer', min: 1, default: 2, description: 'channels of the output' },
  numGroups: { type: 'integer', min: 1, default: 8, description: 'groups of each GroupNorm' },
  width: {
    type: 'integer',
    min: 1,
    default: 64,
    description: 'channels of the first level, doubled at each further one',
  },
} as const;

/** Four poolings halve the sizes, rounding down, and four upsamplings double them: each halving must be exact. */
const SIZES: SizeRule = {
  fits: (size) => size % 16 === 0,
  multiple: 16,
  reason: 'it is halved four times and doubled back to meet the skip connections',
};

/** A graph of the U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with GroupNorm and padded convolutions. */
export const unetGraph = defineGraph({
  name: 'unet',
  description:
    'A U-Net with GroupNorm: input x (N, inChannels, H, W), H and W multiples of 16, output y (N, numClasses, H, W)',
  options: OPTIONS,
  build(options, { dtype, shape }) {
    const { inChannels, numClasses, numGroups, width } = options;
    const g = new GraphBuilder('unet');
    requireNumGroups(g.name, numGroups, 'width', width);
    const x = imageInput(g, { channels: inChannels, dtype, shape, sizes: SIZES });
    const { skips, bottom } = encode(g, x, options);
    const y = decode(g, skips, bottom, options);
    g.output('y', conv(g.scope('out_conv'), y, { outChannels: numClasses, kernelSize: 1 }));
    return g.build();
  },
});

type UNetOptions = Pick<OptionValues<typeof OPTIONS>, 'numGroups' | 'width'>;

/** Adds `enc1` to `enc4`, each pooled before the next, and `bottleneck`. */
function encode(g: GraphBuilder, x: Value, { numGroups, width }: UNetOptions) {
  const skips: Value[] = [];
  let y = x;
  for (const level of LEVELS) {
    const skip = doubleConv(g.scope(`enc${level}`), y, { outChannels: channelsAt(level, width), numGroups });
    skips.push(skip);
    y = maxPool(g.scope('pool'), skip, { kernelSize: 2 });
  }
  const outChannels = channelsAt(LEVELS.length + 1, width);
  return { skips, bottom: doubleConv(g.scope('bottleneck'), y, { outChannels, numGroups }) };
}

/** Adds `upconv4` and `dec4` to `upconv1` and `dec1`: each upsamples, joins the encoder's skip, and convolves. */
function decode(
  g: GraphBuilder,
  skips: readonly Value[],
  bottom: Value,
  { numGroups, width }: UNetOptions,
): Value {
  return LEVELS.reduceRight((y, level) => {
    const outChannels = channelsAt(level, width);
    const up = convTranspose(g.scope(`upconv${level}`), y, { outChannels, kernelSize: 2, stride: 2 });
    const decoder = g.scope(`dec${level}`);
    const joined = op.concat(decoder, [up, skips[level - 1]!], { axis: 1 });
    return doubleConv(decoder, joined, { outChannels, numGroups });
  }, bottom);
}

const channelsAt = (level: number, width: number): number => width * 2 ** (level - 1);
