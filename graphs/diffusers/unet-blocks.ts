/**
 * Adds the levels of diffusers' U-Nets. Source: diffusers 0.42, `models/unets/unet_2d_blocks.py` (`DownBlock2D`,
 * `UNetMidBlock2D`, `UpBlock2D` and their variants, which differ in their attention and in what changes the size).
 */
import type { Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { downsample2d, resnetBlock2d, type ResnetBlock2dOptions, upsample2d } from './resnet.js';

/** What all residual blocks of a level share. */
export type ResnetOptions = Omit<ResnetBlock2dOptions, 'outChannels' | 'resample'>;

/** Adds attention to the result of a residual block, (N, C, H, W) to the same. */
export type Attend = (g: Scope, x: Value) => Value;

/** What halves or doubles the size: a convolution, or a residual block. */
export type Sampler = 'conv' | 'resnet';

/** One level of a U-Net's encoder or decoder. */
export interface Level {
  /** The number of residual blocks. */
  readonly layers: number;
  /** The channels of each block's result. */
  readonly outChannels: number;
  readonly resnet: ResnetOptions;
  /** Attention after each residual block. Default: no attention. */
  readonly attend?: Attend | undefined;
  /** What halves or doubles the size at the end. Default: the size stays. */
  readonly sampler?: Sampler | undefined;
}

/**
 * Adds `resnets`, `attentions` and `downsamplers`: one level of the encoder.
 * @param x (N, C, H, W), any float.
 * @param options `skips` gets each result, for the decoder; `padding` is that of the convolution that halves the size.
 * @returns (N, outChannels, ...), of half the size if there is a sampler.
 */
export function downBlock(
  g: Scope,
  x: Value,
  level: Level,
  { skips, padding }: { readonly skips: Value[]; readonly padding: number },
): Value {
  let y = x;
  for (let i = 0; i < level.layers; i++) skips.push((y = layer(g, y, i, level)));
  if (!level.sampler) return y;
  const scope = g.scope('downsamplers.0');
  const half =
    level.sampler === 'conv'
      ? downsample2d(scope, y, { outChannels: level.outChannels, padding })
      : resampler(scope, y, level, downsample2d);
  skips.push(half);
  return half;
}

/**
 * Adds `resnets`, `attentions` and `upsamplers`: one level of the decoder.
 * @param x (N, C, H, W), any float.
 * @param options Each residual block takes the last of `skips`. With `anySize`, the size of the result is that of the next
 *   skip, which is odd if the encoder rounded it; otherwise twice the size of `x`.
 * @returns (N, outChannels, ...), of the size of `x` if there is no sampler.
 */
export function upBlock(
  g: Scope,
  x: Value,
  level: Level,
  { skips, anySize }: { readonly skips: Value[]; readonly anySize: boolean },
): Value {
  let y = x;
  for (let i = 0; i < level.layers; i++) {
    y = layer(g, op.concat(g, [y, skips.pop()!], { axis: 1 }), i, level);
  }
  if (!level.sampler) return y;
  const scope = g.scope('upsamplers.0');
  if (level.sampler === 'resnet') return resampler(scope, y, level, upsample2d);
  const sizeOf = anySize ? unlessTwice(y, skips.at(-1)!) : undefined;
  return upsample2d(scope, y, { outChannels: level.outChannels, sizeOf });
}

/** Adds a residual block that changes the size between its first activation and its first convolution. */
const resampler = (
  g: Scope,
  x: Value,
  { resnet, outChannels }: Level,
  resample: (g: Scope, x: Value) => Value,
): Value =>
  resnetBlock2d(g, x, { ...resnet, outChannels, resample: (scope, value) => resample(scope, value) });

/** Returns `skip` unless its size is certainly twice the size of `x`, which needs no size at run time. */
function unlessTwice(x: Value, skip: Value): Value | undefined {
  const isTwice = [2, 3].every((axis) => skip.shape[axis] === 2 * (x.shape[axis] as number));
  return isTwice ? undefined : skip;
}

/** What stands between encoder and decoder: a residual block, and a further one for each element of `attends`. */
export interface MidBlock {
  readonly resnet: ResnetOptions;
  /** The attention before each further residual block; `undefined` for a residual block alone. */
  readonly attends: readonly (Attend | undefined)[];
}

/**
 * Adds `resnets` and `attentions` between encoder and decoder.
 * @param x (N, C, H, W), any float.
 * @returns (N, C, H, W).
 */
export function midBlock(g: Scope, x: Value, { resnet, attends }: MidBlock): Value {
  const outChannels = x.shape[1] as number;
  const block = (value: Value, index: number) =>
    resnetBlock2d(g.scope(`resnets.${index}`), value, { ...resnet, outChannels });
  return attends.reduce<Value>(
    (y, attend, i) => block(attend ? attend(g.scope(`attentions.${i}`), y) : y, i + 1),
    block(x, 0),
  );
}

/** Adds residual block `index` and its attention. */
function layer(g: Scope, x: Value, index: number, { outChannels, resnet, attend }: Level): Value {
  const y = resnetBlock2d(g.scope(`resnets.${index}`), x, { ...resnet, outChannels });
  return attend ? attend(g.scope(`attentions.${index}`), y) : y;
}
