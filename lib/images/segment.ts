/** Runs networks that give every pixel a class: the image becomes a tensor (1, C, H, W), the output a mask. */
import { ModelError, OptionError, SessionError } from '../errors.js';
import { castTensor } from '../half.js';
import type { Session, TensorInfo } from '../runtime/core/contract.js';
import { describeInput } from '../runtime/core/tensors.js';
import {
  allocate,
  elementCount,
  type FloatDType,
  formatShape,
  isFloatDType,
  tensor,
  type TensorData,
} from '../tensor.js';
import { type Image, requireImage } from './image.js';
import { type Mask, maskOf } from './mask.js';

/**
 * Makes an image a float32 tensor (1, channels, H, W) from 0 to 1: sample / max, as `torchvision`'s `ToTensor`. Grey
 * becomes RGB by repetition; RGB becomes grey by ITU-R 601's luma, as Pillow's `convert('L')`, but not rounded.
 */
export function imageToTensor(image: Image, channels: 1 | 3): TensorData {
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
  return tensor('float32', [1, channels, height, width], data);
}

const luma = (samples: ArrayLike<number>, at: number): number =>
  (299 * samples[at]! + 587 * samples[at + 1]! + 114 * samples[at + 2]!) / 1000;

/**
 * Pads (1, C, H, W) at the bottom and at the right by reflection, as `torch.nn.functional.pad(mode='reflect')`;
 * reflects repeatedly if the image is too small for one reflection.
 */
export function padTo(x: TensorData, toHeight: number, toWidth: number): TensorData {
  const [height, width] = x.dims.slice(2) as [number, number];
  if (toHeight === height && toWidth === width) return x;
  const [rows, columns] = [reflect(height, toHeight), reflect(width, toWidth)];
  const dims = [...x.dims.slice(0, 2), rows.length, columns.length];
  const data = allocate(x.dtype, elementCount(dims));
  let at = 0;
  for (let start = 0; start < x.data.length; start += height * width) {
    for (const row of rows) {
      for (const column of columns) data[at++] = x.data[start + row * width + column]!;
    }
  }
  return tensor(x.dtype, dims, data);
}

/** Returns, for every index below `length`, the index below `size` that it reflects. */
function reflect(size: number, length: number): number[] {
  const period = Math.max(1, 2 * (size - 1));
  return Array.from({ length }, (_, i) => Math.min(i % period, period - (i % period)));
}

/** Cuts (1, C, *, *) to the top left H × W. */
export function crop(y: TensorData, height: number, width: number): TensorData {
  const [rows, columns] = y.dims.slice(2) as [number, number];
  if (rows === height && columns === width) return y;
  const dims = [...y.dims.slice(0, 2), height, width];
  const data = allocate(y.dtype, elementCount(dims)) as Float32Array;
  let at = 0;
  for (let start = 0; start < y.data.length; start += rows * columns) {
    for (let row = 0; row < height; row++, at += width) {
      const from = start + row * columns;
      data.set(y.data.subarray(from, from + width) as Float32Array, at);
    }
  }
  return tensor(y.dtype, dims, data);
}

/** The result of {@link segment}. */
export interface Segmentation {
  /** The class of every pixel, of the image's own size. */
  readonly mask: Mask;
  /** The network's output (1, classes, H, W), cut to the image's own size. */
  readonly logits: TensorData;
  /** The height and width of the network's input. */
  readonly paddedTo: readonly [number, number];
}

/**
 * H and W are padded to multiples of these numbers, one after the other, until the network runs: no model says what it
 * needs. A U-Net with four poolings needs 16, many backbones need 32.
 */
const MULTIPLES = [1, 16, 32];

/**
 * Runs a model with one float input (N, 1 or 3, H, W) and one float output (N, classes, H, W) on an image, scaled to 0
 * to 1. If the network cannot take the image's size, the image is padded by reflection and the output cut back.
 * @param session A session of such a model, from `createSession`.
 * @throws ModelError `MODEL_UNSUPPORTED` if the model's inputs or outputs have other types; SessionError if the run
 *   fails; ImageError `IMAGE_INVALID` if `image` is not an image, `MASK_UNDEFINED` if the output has a NaN; OptionError
 *   `INVALID_OPTION` if `session` is not a session.
 */
export async function segment(session: Session, image: Image): Promise<Segmentation> {
  if (!Array.isArray((session as Session | undefined | null)?.inputs)) {
    throw new OptionError('INVALID_OPTION', 'segment: its first argument must be what createSession returns');
  }
  requireImage('segment', image);
  const { name, dtype, channels } = imageInput(session, image);
  const x = castTensor(imageToTensor(image, channels), dtype);
  let problem: unknown;
  for (const [height, width] of sizesToTry(image)) {
    try {
      const [y] = Object.values(await session.run({ [name]: padTo(x, height, width) }));
      requireClasses(y!, height, width);
      const logits = crop(y!, image.height, image.width);
      return { mask: maskOf(logits), logits, paddedTo: [height, width] };
    } catch (error) {
      if (!dependsOnSize(error)) throw error;
      problem ??= error;
    }
  }
  throw problem;
}

/** Returns the sizes to try, each once, the image's own size first. */
function sizesToTry({ height, width }: Image): [height: number, width: number][] {
  const sizes = MULTIPLES.map((multiple): [number, number] => [
    Math.ceil(height / multiple) * multiple,
    Math.ceil(width / multiple) * multiple,
  ]);
  return sizes.filter(([h, w], i) => i === 0 || h !== sizes[i - 1]![0] || w !== sizes[i - 1]![1]);
}

/** Whether another size may help: a failed run or an output of another size may come from sizes that do not halve. */
const dependsOnSize = (error: unknown): boolean =>
  (error instanceof SessionError && error.code === 'RUN_FAILED') || error instanceof ModelError;

function requireClasses({ dtype, dims }: TensorData, height: number, width: number): void {
  if (isFloatDType(dtype) && dims.length === 4 && dims[1] !== 0 && dims[2] === height && dims[3] === width)
    return;
  throw unsupported(`for ${height} × ${width} pixels its output is ${dtype} ${formatShape(dims)}`);
}

function imageInput({ inputs, outputs }: Session, image: Image) {
  const [input, ...others] = inputs;
  if (!input || others.some(({ optional }) => !optional) || outputs.length !== 1 || !takesImage(input)) {
    const list = (infos: readonly TensorInfo[]) => infos.map(describeInput).join(', ');
    throw unsupported(`it has inputs ${list(inputs)} and outputs ${list(outputs)}`);
  }
  const { name, dtype, shape } = input;
  // If the model gives no shape, or a name for the channels, the image's own channels are used.
  const channels = typeof shape?.[1] === 'number' ? (shape[1] as 1 | 3) : image.channels;
  return { name, dtype: dtype as FloatDType, channels };
}

const takesImage = ({ dtype, shape }: TensorInfo): boolean =>
  isFloatDType(dtype) &&
  (!shape || (shape.length === 4 && (typeof shape[1] !== 'number' || [1, 3].includes(shape[1]))));

const unsupported = (what: string): ModelError =>
  new ModelError(
    'MODEL_UNSUPPORTED',
    `this model does not segment images: ${what}; needed: one float input [N, 1 or 3, H, W] and one float output ` +
      '[N, classes, H, W]',
  );
