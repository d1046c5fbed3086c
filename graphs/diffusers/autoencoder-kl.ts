/**
 * The network `autoencoder-kl`: the variational autoencoder of Stable Diffusion, SDXL, Stable Diffusion 3 and Flux. Sources:
 * diffusers 0.42, `models/autoencoders/autoencoder_kl.py` (`AutoencoderKL`) and `vae.py` (`Encoder`, `Decoder`,
 * `DiagonalGaussianDistribution`); Rombach et al. 2022, arXiv:2112.10752, section 3.1.
 */
import { GraphError } from '../../lib/errors.js';
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { filledTensor } from '../../lib/half.js';
import { defineGraph } from '../shared/definition.js';
import { declareInputs, type InputLayout } from '../shared/input.js';
import { conv } from '../layers/convolution.js';
import { groupNorm } from '../layers/normalization.js';
import { requireNumGroups } from '../shared/num-groups.js';
import type { OptionValues } from '../shared/options.js';
import type { Pretrained } from '../shared/pretrained.js';
import { attentionKey, imageAttention } from './attention.js';
import { ACTIVATION_NAMES, downsample2d, resnetBlock2d, upsample2d } from './resnet.js';

/** What diffusers adds to every variance; no option sets it. */
const EPS = 1e-6;

const DOWN_BLOCKS = ['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'] as const;
const UP_BLOCKS = ['UpDecoderBlock2D', 'AttnUpDecoderBlock2D'] as const;

const OPTIONS = {
  part: {
    type: 'string',
    choices: ['autoencoder', 'encoder', 'decoder'],
    default: 'autoencoder',
    description: 'encoder takes x, decoder takes z, autoencoder takes x and decodes what it encodes',
  },
  latents: {
    type: 'string',
    choices: ['moments', 'mean', 'sample'],
    default: null,
    description:
      'what the encoder gives: moments is mean and log variance along the channels, sample needs the input noise ' +
      '(without the option: moments, and mean in an autoencoder)',
  },
  scaleLatents: {
    type: 'boolean',
    default: false,
    description:
      'whether latents are those of the diffusion model, (z − shiftFactor) · scalingFactor, as pipelines compute them; ' +
      "PyTorch's forward has them unscaled",
  },
  inChannels: { type: 'integer', min: 1, default: 3, description: 'channels of the image x' },
  outChannels: { type: 'integer', min: 1, default: 3, description: 'channels of the decoded image' },
  blockOutChannels: {
    type: 'integers',
    min: 1,
    default: [64],
    description: 'channels of each level; each level but the last halves the size',
  },
  downBlockTypes: {
    type: 'strings',
    choices: DOWN_BLOCKS,
    default: [DOWN_BLOCKS[0]],
    description: 'the kind of each level of the encoder; one kind is for all levels',
  },
  upBlockTypes: {
    type: 'strings',
    choices: UP_BLOCKS,
    default: [UP_BLOCKS[0]],
    description: 'the kind of each level of the decoder, from the smallest; one kind is for all levels',
  },
  layersPerBlock: {
    type: 'integer',
    min: 1,
    max: 16,
    default: 1,
    description: 'residual blocks of each level of the encoder; the decoder has one more',
  },
  actFn: {
    type: 'string',
    choices: ACTIVATION_NAMES,
    default: 'silu',
    description: 'the activation function of the residual blocks',
  },
  latentChannels: { type: 'integer', min: 1, default: 4, description: 'channels of the latents z' },
  normNumGroups: { type: 'integer', min: 1, default: 32, description: 'groups of each GroupNorm' },
  scalingFactor: { type: 'number', default: 0.18215, description: 'for scaleLatents: the factor of latents' },
  shiftFactor: {
    type: 'number',
    default: null,
    description: 'for scaleLatents: what is subtracted from latents (without the option: 0)',
  },
  useQuantConv: {
    type: 'boolean',
    default: true,
    description: 'put a 1×1 convolution after the encoder',
  },
  usePostQuantConv: {
    type: 'boolean',
    default: true,
    description: 'put a 1×1 convolution before the decoder',
  },
  midBlockAddAttention: {
    type: 'boolean',
    default: true,
    description: 'add attention at the smallest level',
  },
} as const;

type Options = OptionValues<typeof OPTIONS>;

/** What the encoder gives. */
type Latents = NonNullable<Options['latents']>;

/** A graph of `AutoencoderKL`, or of one of its halves: `encode(x).latent_dist` or `decode(z).sample`. */
export const autoencoderKlGraph = defineGraph({
  name: 'autoencoder-kl',
  description:
    'The VAE of Stable Diffusion and Flux: input x (N, inChannels, H, W) or z (N, latentChannels, h, w), output y',
  options: OPTIONS,
  build(options, input) {
    const g = new GraphBuilder('autoencoder-kl');
    const { part, blockOutChannels, normNumGroups } = options;
    const latents = latentsOf(g, options);
    for (const channels of blockOutChannels) {
      requireNumGroups(g.name, normNumGroups, 'blockOutChannels', channels, 'normNumGroups');
    }
    const image: InputLayout = { layout: ['N', options.inChannels, 'H', 'W'] };
    const latent: InputLayout = { layout: ['N', options.latentChannels, 'h', 'w'] };
    const inputs = declareInputs(g, input, {
      x: part === 'decoder' ? undefined : image,
      noise: latents === 'sample' ? latent : undefined,
      z: part === 'decoder' ? latent : undefined,
    });
    const z = inputs.z ?? posterior(g, encode(g, inputs.x!, options), latents, options, inputs.noise);
    g.output('y', part === 'encoder' ? z : decode(g, z, options));
    return g.build();
  },
});

/** How `autoencoder-kl` is read from a configuration of diffusers. */
export const autoencoderKlPretrained: Pretrained = {
  library: 'diffusers',
  classes: ['AutoencoderKL'],
  graph: autoencoderKlGraph,
  // Pipelines use `latents_mean` and `latents_std`; `forward` does not.
  ignored: ['sample_size', 'force_upcast', 'latents_mean', 'latents_std'],
  parameterKey: attentionKey,
  isUnused: (key, { part }) =>
    (part === 'encoder' && /^(decoder|post_quant_conv)\./.test(key)) ||
    (part === 'decoder' && /^(encoder|quant_conv)\./.test(key)),
};

/** Returns what the encoder gives. @throws GraphError `INVALID_ATTRIBUTE` if the part has no use for it. */
function latentsOf(g: GraphBuilder, { part, latents, scaleLatents }: Options): Latents | undefined {
  if (part === 'decoder' ? latents !== null : part === 'autoencoder' && latents === 'moments') {
    throw invalid(g, `latents is '${latents}', but the part '${part}' does not give them`);
  }
  if (part === 'autoencoder' && scaleLatents) {
    throw invalid(g, "scaleLatents is true, but the part 'autoencoder' neither takes nor gives latents");
  }
  const chosen = latents ?? (part === 'encoder' ? 'moments' : 'mean');
  if (chosen === 'moments' && part === 'encoder' && scaleLatents) {
    throw invalid(g, "scaleLatents is true, but moments are not latents: give latents as 'mean' or 'sample'");
  }
  return part === 'decoder' ? undefined : chosen;
}

const invalid = (g: GraphBuilder, problem: string): GraphError =>
  new GraphError('INVALID_ATTRIBUTE', `graph '${g.name}': option ${problem}`);

/** Returns the kind of each level. @throws GraphError `INVALID_ATTRIBUTE` if their number is neither 1 nor that of the levels. */
function kindsOf<Kind>(
  { blockOutChannels: { length } }: Options,
  option: string,
  kinds: readonly Kind[],
): readonly Kind[] {
  if (kinds.length === length) return kinds;
  if (kinds.length === 1) return Array<Kind>(length).fill(kinds[0]!);
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `graph 'autoencoder-kl': option '${option}' has ${kinds.length} elements, but blockOutChannels has ${length}`,
  );
}

/** Adds `encoder` and `quant_conv`: x (N, inChannels, H, W) to moments (N, 2·latentChannels, ...). */
function encode(g: GraphBuilder, x: Value, options: Options): Value {
  const { blockOutChannels, latentChannels, layersPerBlock: layers, useQuantConv } = options;
  const kinds = kindsOf(options, 'downBlockTypes', options.downBlockTypes);
  const encoder = g.scope('encoder');
  let y = conv(encoder.scope('conv_in'), x, { ...CONV3, outChannels: blockOutChannels[0]! });
  blockOutChannels.forEach((outChannels, i) => {
    const block = encoder.scope(`down_blocks.${i}`);
    y = level(
      block,
      y,
      { layers, outChannels, hasAttention: kinds[i] === 'AttnDownEncoderBlock2D' },
      options,
    );
    if (i === blockOutChannels.length - 1) return;
    y = downsample2d(block.scope('downsamplers.0'), y, { outChannels, padding: 0 });
  });
  y = convOut(encoder, midBlock(encoder.scope('mid_block'), y, options), 2 * latentChannels, options);
  return useQuantConv ? conv(g.scope('quant_conv'), y, { ...CONV1, outChannels: 2 * latentChannels }) : y;
}

/**
 * Adds `DiagonalGaussianDistribution`: moments to themselves, to their mean, or to mean + exp(log variance / 2) · noise with
 * the log variance clamped from −30 to 20.
 */
function posterior(
  g: GraphBuilder,
  moments: Value,
  latents: Latents | undefined,
  { latentChannels, ...options }: Options,
  noise: Value | undefined,
): Value {
  if (latents === 'moments') return moments;
  const [mean, logVariance] = op.split(g, moments, { axis: 1, sizes: [latentChannels, latentChannels] });
  if (!noise) return scaled(g, mean!, options);
  const half = op.mul(g, op.clip(g, logVariance!, { min: -30, max: 20 }), number(g, mean!, 0.5));
  // The noise has the shape of the mean, whatever names its sizes have.
  const { dtype, shape } = mean!;
  const [offset] = g.node('Mul', [op.exp(g, half), noise], {}, [{ dtype, shape }]);
  return scaled(g, op.add(g, mean!, offset!), options);
}

type Scaling = Pick<Options, 'scaleLatents' | 'scalingFactor' | 'shiftFactor'>;

/** Returns latents as the diffusion model has them. */
function scaled(g: Scope, z: Value, { scaleLatents, scalingFactor, shiftFactor }: Scaling): Value {
  if (!scaleLatents) return z;
  const shifted = shiftFactor === null ? z : op.sub(g, z, number(g, z, shiftFactor));
  return op.mul(g, shifted, number(g, z, scalingFactor));
}

/** Returns latents of the diffusion model as the decoder takes them. */
function unscaled(g: Scope, z: Value, { scaleLatents, scalingFactor, shiftFactor }: Scaling): Value {
  if (!scaleLatents) return z;
  const divided = op.div(g, z, number(g, z, scalingFactor));
  return shiftFactor === null ? divided : op.add(g, divided, number(g, z, shiftFactor));
}

/** Adds `post_quant_conv` and `decoder`: z (N, latentChannels, h, w) to (N, outChannels, ...). */
function decode(g: GraphBuilder, latents: Value, options: Options): Value {
  const { latentChannels, layersPerBlock, usePostQuantConv } = options;
  const kinds = kindsOf(options, 'upBlockTypes', options.upBlockTypes);
  const channels = options.blockOutChannels.toReversed();
  const unscaledLatents = unscaled(g, latents, options);
  const z = usePostQuantConv
    ? conv(g.scope('post_quant_conv'), unscaledLatents, { ...CONV1, outChannels: latentChannels })
    : unscaledLatents;
  const decoder = g.scope('decoder');
  let y = conv(decoder.scope('conv_in'), z, { ...CONV3, outChannels: channels[0]! });
  y = midBlock(decoder.scope('mid_block'), y, options);
  channels.forEach((outChannels, i) => {
    const block = decoder.scope(`up_blocks.${i}`);
    const hasAttention = kinds[i] === 'AttnUpDecoderBlock2D';
    y = level(block, y, { layers: layersPerBlock + 1, outChannels, hasAttention }, options);
    if (i < channels.length - 1) y = upsample2d(block.scope('upsamplers.0'), y, { outChannels });
  });
  return convOut(decoder, y, options.outChannels, options);
}

const CONV3 = { kernelSize: 3, padding: 1 } as const;
const CONV1 = { kernelSize: 1 } as const;

type BlockOptions = Pick<Options, 'actFn' | 'normNumGroups' | 'midBlockAddAttention'>;

/** Adds the residual blocks of one level, each with attention after it if the level has attention. */
function level(
  g: Scope,
  x: Value,
  { layers, outChannels, hasAttention }: { layers: number; outChannels: number; hasAttention: boolean },
  options: BlockOptions,
): Value {
  let y = x;
  for (let i = 0; i < layers; i++) {
    y = resnet(g.scope(`resnets.${i}`), y, outChannels, options);
    if (hasAttention) y = attend(g.scope(`attentions.${i}`), y, options);
  }
  return y;
}

/** Adds the middle: a residual block, attention, a residual block. */
function midBlock(g: Scope, x: Value, options: BlockOptions): Value {
  const channels = x.shape[1] as number;
  const first = resnet(g.scope('resnets.0'), x, channels, options);
  const attended = options.midBlockAddAttention ? attend(g.scope('attentions.0'), first, options) : first;
  return resnet(g.scope('resnets.1'), attended, channels, options);
}

const resnet = (g: Scope, x: Value, outChannels: number, { actFn, normNumGroups }: BlockOptions): Value =>
  resnetBlock2d(g, x, { outChannels, numGroups: normNumGroups, eps: EPS, activation: actFn });

/** Adds attention between all pixels, with one head. */
const attend = (g: Scope, x: Value, { normNumGroups }: BlockOptions): Value =>
  imageAttention(g, x, { heads: 1, dimHead: x.shape[1] as number, numGroups: normNumGroups, eps: EPS });

/** Adds `conv_norm_out`, SiLU (whatever `act_fn` says) and `conv_out`. */
function convOut(g: Scope, x: Value, outChannels: number, { normNumGroups }: BlockOptions): Value {
  const normalized = groupNorm(g.scope('conv_norm_out'), x, { numGroups: normNumGroups, eps: EPS });
  return conv(g.scope('conv_out'), op.silu(g, normalized), { ...CONV3, outChannels });
}

const number = (g: Scope, { dtype }: Value, value: number): Value =>
  g.constant(filledTensor(dtype, [], value));
