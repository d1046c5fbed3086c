/** Which class each pixel is of, out of a network's logits, and as an image. */
import { ImageError } from '../errors.js';
import { toFloat64Array } from '../half.js';
import { requireKnownOptions } from '../options.js';
import type { TensorData } from '../tensor.js';
import { type Image, requireImage } from './image.js';

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

// SECTION: A mask drawn over its image, for people to look at.

type Colour = readonly [red: number, green: number, blue: number];

/** How {@link overlay} draws. */
export interface OverlayOptions {
  /** Pixels of the drawing along each side of a pixel of the image: an integer. Default 1. */
  readonly scale?: number;
  /** How much of the class's colour lies over its area, from 0 to 1. Default 0.1. */
  readonly tint?: number;
}

/** Yellow shows on tissue of most colours. Of more than two classes each has its own. */
const SINGLE: Colour = [255, 214, 10];

/**
 * The image with every area that is not of class 0 tinted, and a line around it.
 * @returns RGB of 8 bits, `scale` times as wide and as high.
 * @throws ImageError `MASK_SIZE` if the mask is of another size, `IMAGE_INVALID` if `scale` is not an integer of at least
 *   1 or the image is none, `MASK_INVALID`; OptionError.
 */
export function overlay(image: Image, mask: Mask, options: OverlayOptions = {}): Image {
  requireKnownOptions('overlay', options, ['scale', 'tint']);
  const { scale = 1, tint = 0.1 } = options;
  requireImage('overlay', image);
  requireMask('overlay', mask);
  requireDrawable(image, mask, scale);
  const { width, height } = image;
  const [columns, rows] = [width * scale, height * scale];
  const samples = new Uint8Array(3 * columns * rows);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const pixel = Math.floor(y / scale) * width + Math.floor(x / scale);
      const strength = isEdge(mask, x, y, scale) ? 1 : mask.classes[pixel] === 0 ? 0 : tint;
      const colour = colourOf(mask, mask.classes[pixel]!);
      const own = colourAt(image, pixel);
      const mixed = own.map((sample, c) => Math.round(sample * (1 - strength) + colour[c]! * strength));
      samples.set(mixed, 3 * (y * columns + x));
    }
  }
  return { width: columns, height: rows, channels: 3, samples, max: 255 };
}

function requireDrawable(image: Image, mask: Mask, scale: number): void {
  if (!Number.isSafeInteger(scale) || scale < 1) {
    throw new ImageError('IMAGE_INVALID', `overlay: scale ${scale} must be an integer of at least 1`);
  }
  if (image.width === mask.width && image.height === mask.height) return;
  const [of, is] = [image, mask].map(({ width, height }) => `${width} × ${height}`);
  throw new ImageError(
    'MASK_SIZE',
    `overlay: the image has ${of} pixels, but the mask ${is}; they must be the same`,
  );
}

const colourOf = ({ numClasses }: Mask, index: number): Colour =>
  numClasses === 2 ? SINGLE : classColour(index);

function colourAt({ channels, samples, max }: Image, pixel: number): Colour {
  const at = (c: number) => (255 * samples[pixel * channels + (channels === 1 ? 0 : c)]!) / max;
  return [at(0), at(1), at(2)];
}

/** Whether a point of the drawing is inside of an area, but not deeper than the line is wide. */
function isEdge({ width, height, classes }: Mask, x: number, y: number, scale: number): boolean {
  const own = classes[Math.floor(y / scale) * width + Math.floor(x / scale)]!;
  const classAt = (column: number, row: number): number => {
    const inside = column >= 0 && row >= 0 && column < width * scale && row < height * scale;
    return inside ? classes[Math.floor(row / scale) * width + Math.floor(column / scale)]! : own;
  };
  const line = Math.ceil(scale / 2);
  const neighbours = [classAt(x - line, y), classAt(x + line, y), classAt(x, y - line), classAt(x, y + line)];
  return own !== 0 && neighbours.some((other) => other !== own);
}
