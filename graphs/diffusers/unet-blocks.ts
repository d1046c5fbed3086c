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

/** One level of a U-Net's encoder or decoder. */
export interface Level {
  /** The number of residual blocks. */
  readonly layers: number;
  /** The channels of each block's result. */
  readonly outChannels: number;
  readonly resnet: ResnetOptions;
  /** Attention after each residual block. Default: no attention. */
  readonly attend?: Attend | undefined;
  /** What halves or doubles the size at the end: a convolution or a residual block. Default: the size stays. */
  readonly sampler?: 'conv' | 'resnet' | undefined;
}

/**
 * Adds `resnets`, `attentions` and `downsamplers`: one level of the encoder.
 * @param x (N, C, H, W), any float.
 * @param skips Gets each result, for the decoder.
 * @param padding Of the convolution that halves the size.
 * @returns (N, outChannels, ...), of half the size if there is a sampler.
 */
export function downBlock(g: Scope, x: Value, level: Level, skips: Value[], padding: number): Value {
  const { layers, outChannels, resnet, sampler } = level;
  let y = x;
  for (let i = 0; i < layers; i++) skips.push((y = layer(g, y, i, level)));
  if (!sampler) return y;
  const downsampler = g.scope('downsamplers.0');
  const half =
    sampler === 'conv'
      ? downsample2d(downsampler, y, { outChannels, padding })
      : resnetBlock2d(downsampler, y, { ...resnet, outChannels, resample: (scope, value) => downsample2d(scope, value) });
  skips.push(half);
  return half;
}

/**
 * Adds `resnets`, `attentions` and `upsamplers`: one level of the decoder.
 * @param x (N, C, H, W), any float.
 * @param skips The results of the encoder, of which each residual block takes the last.
 * @returns (N, outChannels, ...), of twice the size if there is a sampler, or of the size of the next skip.
 */
export function upBlock(g: Scope, x: Value, level: Level, skips: Value[]): Value {
  const { layers, outChannels, resnet, sampler } = level;
  let y = x;
  for (let i = 0; i < layers; i++) y = layer(g, op.concat(g, [y, skips.pop()!], { axis: 1 }), i, level);
  if (!sampler) return y;
  const upsampler = g.scope('upsamplers.0');
  if (sampler === 'conv') return upsample2d(upsampler, y, { outChannels, sizeOf: unlessTwice(y, skips.at(-1)!) });
  return resnetBlock2d(upsampler, y, { ...resnet, outChannels, resample: (scope, value) => upsample2d(scope, value) });
}

/** Returns `skip` if its size is not certain to be twice the size of `x`: an encoder rounds odd sizes. */
function unlessTwice(x: Value, skip: Value): Value | undefined {
  const isTwice = [2, 3].every((axis) => skip.shape[axis] === 2 * (x.shape[axis] as number));
  return isTwice ? undefined : skip;
}

/**
 * Adds `resnets` and `attentions` between encoder and decoder: a residual block, and with attention a second one.
 * @param x (N, C, H, W), any float.
 * @param attends The attention before each further residual block; `undefined` for a residual block alone.
 * @returns (N, C, H, W).
 */
export function midBlock(
  g: Scope,
  x: Value,
  { resnet, attends }: { readonly resnet: ResnetOptions; readonly attends: readonly (Attend | undefined)[] },
): Value {
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
