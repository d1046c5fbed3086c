/** Runs networks that give every pixel a class: the image becomes a tensor (1, C, H, W), the output a mask. */
import { ModelError, OptionError, SessionError } from '../errors.js';
import { requireKnownOptions } from '../options.js';
import type { Session, TensorInfo } from '../runtime/core/contract.js';
import { describeInput } from '../runtime/core/tensors.js';
import { stack } from '../tensor-functions.js';
import { type Dim, type FloatDType, formatShape, isFloatDType, type TensorData } from '../tensor.js';
import { type Image, requireImage } from './image.js';
import { type Mask, maskOf, thresholdOf } from './mask.js';
import { crop, padTo, type Size } from './resample.js';
import { readScores, scaleScores } from './scores.js';
import { asInput, imageTensor } from './to-tensor.js';

/** The result of {@link segment}. */
export interface Segmentation {
  /** The class of every pixel, of the image's own size. */
  readonly mask: Mask;
  /**
   * The network's output of the image's own size: scores (1, classes, H, W), or the index of each pixel's class
   * (1, 1, H, W). Scores that the network gives for a smaller size are scaled bilinearly.
   */
  readonly logits: TensorData;
  /** The score above which a pixel is of class 1, if the network gives a single score per pixel. */
  readonly threshold?: number;
  /** The height and width to which the image was scaled; its own if the network takes it as it is. */
  readonly scaledTo: Size;
  /** The height and width of the network's input, to which the image was reflected at its edges. */
  readonly paddedTo: Size;
}

/** Options of {@link segment}. */
export interface SegmentOptions {
  /**
   * A pixel is of class 1 where its score is above it; for networks with a single score per pixel. Default: 0.5 if all
   * scores are within 0 and 1, else 0.
   */
  readonly threshold?: number | undefined;
  /** Subtracted from the samples, which are within 0 and 1: a number for each channel, or one for all. Default: 0. */
  readonly mean?: readonly number[] | undefined;
  /** Divides the samples, after `mean`: a number for each channel, or one for all. Default: 1. */
  readonly std?: readonly number[] | undefined;
}

/**
 * H and W are padded to multiples of these numbers, one after the other, until the network runs: no model says what it
 * needs. A U-Net with four poolings needs 16, many backbones need 32.
 */
const MULTIPLES = [1, 16, 32];

/**
 * Runs a model with one input (N, 1 or 3, H, W) or (N, H, W, 1 or 3) on an image, whose samples become floats from 0 to
 * 1, or bytes for an input of uint8. The output has scores for each pixel, channels first or last, or the index of its
 * class, of the input's size or a fraction of it. If the network cannot take the image's size, the image is padded by
 * reflection and the output cut back; if the network's size is fixed and smaller, the image is scaled.
 * @param session A session of such a model, from `createSession`.
 * @throws ModelError `MODEL_UNSUPPORTED` if the model's inputs or outputs have other types; SessionError if the run
 *   fails; ImageError `IMAGE_INVALID` if `image` is not an image, `MASK_UNDEFINED` if the output has a NaN; OptionError
 *   `INVALID_OPTION` if `session` is not a session or `mean` or `std` does not fit, `UNKNOWN_OPTION`.
 */
export async function segment(
  session: Session,
  image: Image,
  options: SegmentOptions = {},
): Promise<Segmentation> {
  if (!Array.isArray((session as Session | undefined | null)?.inputs)) {
    throw new OptionError('INVALID_OPTION', 'segment: its first argument must be what createSession returns');
  }
  requireKnownOptions('segment', options, ['threshold', 'mean', 'std'] satisfies (keyof SegmentOptions)[]);
  requireImage('segment', image);
  const input = imageInput(session, image);
  const { threshold: givenThreshold, mean, std } = options;
  if (input.dtype === 'uint8' && (mean ?? std) !== undefined) {
    throw new OptionError('INVALID_OPTION', 'segment: the model takes bytes; leave out mean and std');
  }
  let problem: unknown;
  for (const size of sizesToTry(image, input)) {
    try {
      const scaledTo: Size = [Math.min(size[0], image.height), Math.min(size[1], image.width)];
      const pixels = imageTensor('segment', image, { channels: input.channels, size: scaledTo, mean, std });
      const x = stack([asInput(padTo(pixels, ...size), input)]);
      const [y] = Object.values(await session.run({ [input.name]: x }));
      const part = crop(scoresOf(y!, size, input), ...scaledTo);
      const logits = scaleScores(part, [image.height, image.width]);
      const threshold = logits.dims[1] === 1 ? (givenThreshold ?? thresholdOf(logits)) : undefined;
      const mask = maskOf(logits, threshold);
      return { mask, logits, ...(threshold !== undefined && { threshold }), scaledTo, paddedTo: size };
    } catch (error) {
      if (!dependsOnSize(error)) throw error;
      problem ??= error;
    }
  }
  throw problem;
}

/** What a model takes as an image. */
interface ImageInput {
  readonly name: string;
  readonly dtype: FloatDType | 'uint8';
  readonly channels: 1 | 3;
  readonly channelsLast: boolean;
  /** The sizes that the model declares; `undefined` for a size that has a name. */
  readonly height: number | undefined;
  readonly width: number | undefined;
}

/** Returns the sizes to try, each once, the image's own size first. A size that the model declares stays. */
function sizesToTry(image: Image, { height, width }: ImageInput): Size[] {
  const sizes = MULTIPLES.map((multiple): Size => [
    height ?? Math.ceil(image.height / multiple) * multiple,
    width ?? Math.ceil(image.width / multiple) * multiple,
  ]);
  return sizes.filter(([h, w], i) => i === 0 || h !== sizes[i - 1]![0] || w !== sizes[i - 1]![1]);
}

/** Whether another size may help: a failed run or an output of another size may come from sizes that do not halve. */
const dependsOnSize = (error: unknown): boolean =>
  (error instanceof SessionError && error.code === 'RUN_FAILED') || error instanceof ModelError;

function scoresOf(output: TensorData, size: Size, { channelsLast }: ImageInput): TensorData {
  const scores = readScores(output, size, channelsLast);
  if (scores) return scaleScores(scores, size);
  const { dtype, dims } = output;
  throw unsupported(`for ${size[0]} × ${size[1]} pixels its output is ${dtype} ${formatShape(dims)}`);
}

function imageInput({ inputs, outputs }: Session, image: Image): ImageInput {
  const [input, ...others] = inputs;
  if (input && others.every(({ optional }) => optional) && outputs.length === 1) {
    const { name, dtype, shape } = input;
    const isImage = (isFloatDType(dtype) || dtype === 'uint8') && (!shape || shape.length === 4);
    // If the model gives no shape, or names for the channels, they are first, and the image's own channels are used.
    const channelsLast = !isChannels(shape?.[1]) && isChannels(shape?.[3]);
    const channels = shape?.[channelsLast ? 3 : 1] ?? '';
    if (isImage && (typeof channels === 'string' || isChannels(channels))) {
      const [height, width] = channelsLast ? shape.slice(1, 3) : (shape?.slice(2) ?? []);
      return {
        name,
        dtype,
        channels: isChannels(channels) ? channels : image.channels,
        channelsLast,
        height: typeof height === 'number' ? height : undefined,
        width: typeof width === 'number' ? width : undefined,
      };
    }
  }
  const list = (infos: readonly TensorInfo[]) => infos.map(describeInput).join(', ');
  throw unsupported(`it has inputs ${list(inputs)} and outputs ${list(outputs)}`);
}

const isChannels = (dim: Dim | undefined): dim is 1 | 3 => dim === 1 || dim === 3;

const unsupported = (what: string): ModelError =>
  new ModelError(
    'MODEL_UNSUPPORTED',
    `this model does not segment images: ${what}; needed: one input of floats or uint8 [N, 1 or 3, H, W] or [N, H, W, 1 or 3] and ` +
      'one output with scores of classes, or the class, for each pixel of the same size or a fraction of it',
  );
