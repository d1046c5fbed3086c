/** Runs networks that give every pixel a class: the image becomes a tensor (1, C, H, W), the output a mask. */
import { ModelError, OptionError, SessionError } from '../errors.js';
import { suggestion } from '../nearest.js';
import { requireKnownOptions } from '../options.js';
import type { Session, TensorInfo, TensorRecord } from '../runtime/core/contract.js';
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
  /** The name of the output that these are. */
  readonly output: string;
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
   * The name of the output that has scores or the class for each pixel, if several outputs of the network do. Default: the
   * only output that does.
   */
  readonly output?: string | undefined;
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
 * 1, or bytes for an input of uint8. One output has scores for each pixel, channels first or last, or the index of its
 * class, of the input's size or a fraction of it; other outputs do not matter. If the network cannot take the image's
 * size, the image is padded by reflection and the output cut back; if the network's size is fixed and smaller, the image
 * is scaled.
 * @param session A session of such a model, from `createSession`.
 * @throws ModelError `MODEL_UNSUPPORTED` if the model's inputs or outputs have other types; SessionError if the run
 *   fails; ImageError `IMAGE_INVALID` if `image` is not an image, `MASK_UNDEFINED` if the output has a NaN; OptionError
 *   `INVALID_OPTION` if `session` is not a session, `mean` or `std` does not fit, or `output` is unknown, or is missing
 *   where several outputs fit; `UNKNOWN_OPTION`.
 */
export async function segment(
  session: Session,
  image: Image,
  options: SegmentOptions = {},
): Promise<Segmentation> {
  if (!Array.isArray((session as Session | undefined | null)?.inputs)) {
    throw new OptionError('INVALID_OPTION', 'segment: its first argument must be what createSession returns');
  }
  requireKnownOptions('segment', options, OPTIONS);
  requireImage('segment', image);
  const input = imageInput(session, image);
  const { threshold: givenThreshold, mean, std } = options;
  const fetches = outputsToRead(session, options.output);
  if (input.dtype === 'uint8' && (mean ?? std) !== undefined) {
    throw new OptionError('INVALID_OPTION', 'segment: the model takes bytes; leave out mean and std');
  }
  let problem: unknown;
  for (const size of sizesToTry(image, input)) {
    try {
      const scaledTo: Size = [Math.min(size[0], image.height), Math.min(size[1], image.width)];
      const pixels = imageTensor('segment', image, { channels: input.channels, size: scaledTo, mean, std });
      const x = stack([asInput(padTo(pixels, ...size), input)]);
      const { output, scores } = scoresOf(await session.run({ [input.name]: x }, { fetches }), size, input);
      const part = crop(scores, ...scaledTo);
      const logits = scaleScores(part, [image.height, image.width]);
      const threshold = logits.dims[1] === 1 ? (givenThreshold ?? thresholdOf(logits)) : undefined;
      const mask = maskOf(logits, threshold);
      return {
        mask,
        logits,
        output,
        ...(threshold !== undefined && { threshold }),
        scaledTo,
        paddedTo: size,
      };
    } catch (error) {
      if (!dependsOnSize(error)) throw error;
      problem ??= error;
    }
  }
  throw problem;
}

const OPTIONS: readonly (keyof SegmentOptions)[] = ['output', 'threshold', 'mean', 'std'];

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

/**
 * Returns the names of the outputs that may have scores: the named output, or all of numbers and a shape that may fit.
 * @throws OptionError `INVALID_OPTION` for a name that is not that of such an output.
 */
function outputsToRead(session: Session, name: string | undefined): string[] {
  const mayFit = ({ dtype, shape }: TensorInfo) =>
    dtype !== undefined && dtype !== 'string' && (!shape || (shape.length >= 2 && shape.length <= 4));
  const names = session.outputs.filter(mayFit).map((output) => output.name);
  if (names.length === 0) throw unsupported(describeModel(session));
  if (name === undefined) return names;
  if (names.includes(name)) return [name];
  const known = `its outputs that may have a score or class for each pixel: ${names.join(', ')}`;
  throw new OptionError(
    'INVALID_OPTION',
    `segment: the model has no such output '${String(name)}'${suggestion(String(name), names)}; ${known}`,
  );
}

/**
 * Returns the output that has scores for each pixel, as (1, classes, H, W) of the network's size.
 * @throws ModelError if no output has; OptionError if several have.
 */
function scoresOf(
  outputs: TensorRecord,
  size: Size,
  { channelsLast }: ImageInput,
): { readonly output: string; readonly scores: TensorData } {
  const all = Object.entries(outputs);
  const found = all.flatMap(([output, value]) => {
    const scores = readScores(value, size, channelsLast);
    return scores ? [{ output, scores }] : [];
  });
  const [first, ...others] = found;
  if (first && others.length === 0) return { ...first, scores: scaleScores(first.scores, size) };
  const describe = (names: readonly string[]) =>
    names.map((name) => `'${name}' ${outputs[name]!.dtype} ${formatShape(outputs[name]!.dims)}`).join(', ');
  if (!first) {
    const what = all.length === 1 ? 'output is' : 'outputs are';
    throw unsupported(
      `for ${size[0]} × ${size[1]} pixels its ${what} ${describe(all.map(([name]) => name))}`,
    );
  }
  throw new OptionError(
    'INVALID_OPTION',
    `segment: several outputs have a score or class for each pixel: ${describe(found.map(({ output }) => output))}; ` +
      `name the one to use with the option output (on the command line: --scores ${first.output})`,
  );
}

function imageInput(session: Session, image: Image): ImageInput {
  const [input, ...others] = session.inputs;
  if (input && others.every(({ optional }) => optional)) {
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
  throw unsupported(describeModel(session));
}

function describeModel({ inputs, outputs }: Session): string {
  const list = (infos: readonly TensorInfo[]) => infos.map(describeInput).join(', ');
  return `it has inputs ${list(inputs)} and outputs ${list(outputs)}`;
}

const isChannels = (dim: Dim | undefined): dim is 1 | 3 => dim === 1 || dim === 3;

const unsupported = (what: string): ModelError =>
  new ModelError(
    'MODEL_UNSUPPORTED',
    `this model does not segment images: ${what}; needed: one input of floats or uint8 [N, 1 or 3, H, W] or [N, H, W, 1 or 3] and ` +
      'an output with scores of classes, or the class, for each pixel of the same size or a fraction of it',
  );
