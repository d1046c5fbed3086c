/** Makes images tensors, as torchvision's ToTensor, Resize and Normalize. */
import { OptionError } from '../errors.js';
import { castTensor } from '../half.js';
import { requireKnownOptions } from '../options.js';
import { type FloatDType, tensor, type TensorData } from '../tensor.js';
import { type Image, requireImage } from './image.js';
import { scaleBilinear, type Size, toChannelsLast } from './resample.js';

/** The `mean` and `std` of networks that were trained on ImageNet. Source: `torchvision.models`. */
export const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** Options of {@link toTensor}. */
export interface ToTensorOptions {
  /**
   * The height and width to scale the image to, or one number for its shorter side, which keeps the proportions.
   * Default: the image's own size.
   */
  readonly size?: number | readonly [height: number, width: number] | undefined;
  /** Subtracted from the samples, which are within 0 and 1: a number for each channel, or one for all. Default: 0. */
  readonly mean?: readonly number[] | undefined;
  /** Divides the samples, after `mean`: a number for each channel, or one for all. Default: 1. */
  readonly std?: readonly number[] | undefined;
  /** Where the channels stand, in the name of the batch that `stack` makes of the results. Default `NCHW`. */
  readonly layout?: 'NCHW' | 'NHWC' | undefined;
  /** The channels of the tensor, 1 for grey or 3 for red, green and blue. Default: those of the image. */
  readonly channels?: 1 | 3 | undefined;
}

/**
 * Makes an image a float32 tensor, as torchvision's `Compose([ToTensor(), Resize(size), Normalize(mean, std)])`: sample
 * / max, within 0 and 1; scaled bilinearly, with antialiasing where it becomes smaller; (x − mean) / std. Where Pillow
 * scales before `ToTensor`, it rounds to 8 bits, so that elements differ by up to 1/255 before `std` divides them.
 *
 * For `channels`, grey becomes RGB by repetition, and RGB becomes grey by ITU-R 601's luma, as Pillow's `convert('L')`
 * but not rounded. An image has no alpha: `fromRgba` and `decodePng` drop it.
 * @returns (channels, H, W), or (H, W, channels) for the layout `NHWC`. `stack([x])` adds the axis of the batch.
 * @throws ImageError `IMAGE_INVALID` if `image` is not an image; OptionError `INVALID_OPTION`, `UNKNOWN_OPTION`.
 */
export function toTensor(image: Image, options: ToTensorOptions = {}): TensorData<'float32'> {
  requireKnownOptions('toTensor', options, ['size', 'mean', 'std', 'layout', 'channels']);
  requireImage('toTensor', image);
  const { layout = 'NCHW', channels } = options;
  if (layout !== 'NCHW' && layout !== 'NHWC') {
    throw new OptionError('INVALID_OPTION', `toTensor: layout must be NCHW or NHWC, not ${String(layout)}`);
  }
  if (channels !== undefined && channels !== 1 && channels !== 3) {
    throw new OptionError('INVALID_OPTION', `toTensor: channels must be 1 or 3, not ${String(channels)}`);
  }
  const x = imageTensor('toTensor', image, options);
  return layout === 'NHWC' ? toChannelsLast(x) : x;
}

/**
 * Returns an image as (channels, H, W), for {@link toTensor} and `segment`.
 * @param where What takes the options, for messages.
 */
export function imageTensor(
  where: string,
  image: Image,
  { channels = image.channels, size, mean = [0], std = [1] }: Omit<ToTensorOptions, 'layout'>,
): TensorData<'float32'> {
  const means = perChannel(where, 'mean', mean, channels);
  const deviations = perChannel(where, 'std', std, channels);
  const x = scaleBilinear(samplesOf(image, channels), scaledSize(where, image, channels, size));
  const plane = x.data.length / channels;
  for (let c = 0; c < channels; c++) {
    if (means[c] === 0 && deviations[c] === 1) continue;
    for (let i = c * plane; i < (c + 1) * plane; i++) x.data[i] = (x.data[i]! - means[c]!) / deviations[c]!;
  }
  return x;
}

/**
 * Returns the samples of an image in the dtype and the layout of a model's input. uint8 has the samples times 255.
 * @param x (channels, H, W), float32.
 */
export function asInput(
  x: TensorData,
  { dtype, channelsLast }: { readonly dtype: FloatDType | 'uint8'; readonly channelsLast: boolean },
): TensorData {
  const values =
    dtype === 'uint8'
      ? tensor(
          'uint8',
          x.dims,
          Uint8Array.from(x.data as Float32Array, (value) => Math.round(255 * value)),
        )
      : castTensor(x, dtype);
  return channelsLast ? toChannelsLast(values) : values;
}

/** Returns the samples as (channels, H, W), within 0 and 1. */
function samplesOf(image: Image, channels: 1 | 3): TensorData<'float32'> {
  const { width, height, channels: has, samples, max } = image;
  const plane = width * height;
  const data = new Float32Array(channels * plane);
  for (let pixel = 0; pixel < plane; pixel++) {
    for (let c = 0; c < channels; c++) {
      const sample =
        has > channels ? luma(samples, pixel * has) : samples[pixel * has + (has === 1 ? 0 : c)]!;
      data[c * plane + pixel] = sample / max;
    }
  }
  return tensor('float32', [channels, height, width], data);
}

const luma = (samples: ArrayLike<number>, at: number): number =>
  (299 * samples[at]! + 587 * samples[at + 1]! + 114 * samples[at + 2]!) / 1000;

/** The most samples that an image is scaled up to. */
const MOST_SAMPLES = 2 ** 28;

function scaledSize(
  where: string,
  { height, width }: Image,
  channels: number,
  size: ToTensorOptions['size'],
): Size {
  if (size === undefined) return [height, width];
  const sides: readonly unknown[] = Array.isArray(size) ? size : [size];
  const isSize =
    sides.length <= 2 && sides.every((side) => Number.isSafeInteger(side) && (side as number) > 0);
  if (!isSize || sides.length === 0) {
    throw new OptionError(
      'INVALID_OPTION',
      `${where}: size must be [height, width] or the length of the shorter side, of integers above 0; got ${String(size)}`,
    );
  }
  const [first, second] = sides as [number, number?];
  const shorter = Math.min(height, width);
  // As torchvision, which cuts the longer side to an integer.
  const longer = (side: number): number => Math.floor((first * side) / shorter);
  const scaled: Size =
    second !== undefined
      ? [first, second]
      : height < width
        ? [first, longer(width)]
        : [longer(height), first];
  const mostPixels = Math.max(MOST_SAMPLES / channels, height * width);
  if (scaled[0] * scaled[1] <= mostPixels) return scaled;
  throw new OptionError(
    'INVALID_OPTION',
    `${where}: size ${String(size)} makes ${scaled[1]} × ${scaled[0]} pixels of the image; ` +
      `allowed: ${Math.floor(mostPixels)} pixels`,
  );
}

function perChannel(
  where: string,
  name: 'mean' | 'std',
  given: readonly number[],
  channels: number,
): readonly number[] {
  const isList = Array.isArray(given) && (given.length === 1 || given.length === channels);
  if (isList && given.every((value) => Number.isFinite(value) && (name === 'mean' || value > 0))) {
    return Array.from({ length: channels }, (_, c) => (given.length === 1 ? given[0]! : given[c]!) as number);
  }
  throw new OptionError(
    'INVALID_OPTION',
    `${where}: ${name} must be a list of one number${channels === 1 ? '' : ', or of one for each of the 3 channels'}` +
      `${name === 'std' ? ', above 0' : ''}; got ${String(given)}`,
  );
}
