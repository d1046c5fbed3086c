/** Which class each pixel is of, out of a network's logits, and as an image. */
import { toFloat64Array } from '../half.js';
import type { TensorData } from '../tensor.js';
import { ImageError } from '../errors.js';
import { type Image } from './image.js';

/** The class of every pixel, row by row. */
export interface Mask {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** At least 2; not all of them need be in the mask. */
  readonly numClasses: number;
  /** One a pixel, from 0 on. */
  readonly classes: Uint16Array;
}

/**
 * The class of each pixel of logits (1, classes, H, W): the one of the largest logit, the first of equal ones, as
 * `torch.argmax`. With a single logit a pixel there are two classes: 1 where it is above 0, which is where its
 * sigmoid is above a half, and else 0.
 * @throws ImageError `MASK_UNDEFINED` if a logit is NaN.
 */
export function maskOf(logits: TensorData): Mask {
  const [, count, height, width] = logits.dims as [number, number, number, number];
  const values = toFloat64Array(logits);
  const nan = values.findIndex(Number.isNaN);
  if (nan >= 0) {
    const [x, y] = [nan % width, Math.floor(nan / width) % height];
    throw new ImageError(
      'MASK_UNDEFINED',
      `the model's output is NaN at x = ${x}, y = ${y}: it has no class`,
    );
  }
  const plane = width * height;
  const classes = new Uint16Array(plane);
  for (let pixel = 0; pixel < plane; pixel++) {
    classes[pixel] = count === 1 ? Number(values[pixel]! > 0) : argmax(values, pixel, plane, count);
  }
  return { width, height, numClasses: Math.max(2, count), classes };
}

function argmax(values: Float64Array, pixel: number, plane: number, count: number): number {
  let best = 0;
  for (let c = 1; c < count; c++) {
    if (values[c * plane + pixel]! > values[best * plane + pixel]!) best = c;
  }
  return best;
}

/**
 * @param where What takes the mask, for the message: `overlay`.
 * @throws ImageError `MASK_INVALID` if it is none, has more or fewer classes than pixels, or one that it does not know.
 */
export function requireMask(where: string, mask: Mask): void {
  const { width, height, numClasses, classes } = (mask ?? {}) as Partial<Mask>;
  const sized = classes instanceof Uint16Array && classes.length === width! * height!;
  if (sized && classes.every((index) => index < numClasses!)) return;
  throw new ImageError(
    'MASK_INVALID',
    `${where}: this is not a mask: it must have width and height, and classes, a Uint16Array of one per pixel, ` +
      'each below numClasses',
  );
}

/**
 * Two classes in black and white; more in the colours of {@link classColour}.
 * @throws ImageError `MASK_INVALID` if it is none.
 */
export function maskToImage(mask: Mask): Image {
  requireMask('maskToImage', mask);
  const { width, height, numClasses, classes } = mask;
  if (numClasses === 2) {
    const samples = Uint8Array.from(classes, (index) => 255 * index);
    return { width, height, channels: 1, samples, max: 255 };
  }
  const colours = Array.from({ length: numClasses }, (_, index) => classColour(index));
  const samples = new Uint8Array(3 * classes.length);
  classes.forEach((index, pixel) => samples.set(colours[index]!, 3 * pixel));
  return { width, height, channels: 3, samples, max: 255 };
}

/**
 * The colour of a class as segmentation data sets have it since PASCAL VOC: the bits of the index, by threes, from
 * the highest bit of red, green and blue on. Class 0 is black, and no two below 2²⁴ are the same.
 */
export function classColour(index: number): [red: number, green: number, blue: number] {
  const colour: [number, number, number] = [0, 0, 0];
  for (let bit = 7, rest = index; rest > 0; bit--, rest >>= 3) {
    for (let c = 0; c < 3; c++) colour[c]! |= ((rest >> c) & 1) << bit;
  }
  return colour;
}
