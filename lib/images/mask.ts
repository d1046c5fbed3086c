/** Masks: the class of each pixel out of a network's logits, as an image, and drawn over an image. */
import { typeName } from '../arrays.js';
import { ImageError } from '../errors.js';
import { toFloat64Array } from '../half.js';
import { requireKnownOptions } from '../options.js';
import { argmax } from '../tensor-functions.js';
import { tensor, type TensorData } from '../tensor.js';
import { type Image, requireImage } from './image.js';
import { isClassIndices } from './scores.js';

/** The class of every pixel of an image. */
export interface Mask {
  /** The number of pixels in a row. */
  readonly width: number;
  /** The number of rows. */
  readonly height: number;
  /** The number of classes, at least 2; the mask need not have all of them. */
  readonly numClasses: number;
  /** The class of each pixel, counted from 0, row by row from the top left. */
  readonly classes: Uint16Array;
}

/**
 * Returns the class of each pixel of scores (1, classes, H, W): the class of the largest score, the first of equals, as
 * `torch.argmax`. A single float per pixel means two classes: 1 where it is above `threshold`, else 0. A single integer
 * per pixel is the index of its class; integers that are all 0 or 255 are a mask in black and white.
 * @param threshold Default: {@link thresholdOf}.
 * @throws ImageError `MASK_UNDEFINED` if a score is NaN, or an index is not an index.
 */
export function maskOf(scores: TensorData, threshold = thresholdOf(scores)): Mask {
  const [, count, height, width] = scores.dims as [number, number, number, number];
  const values = toFloat64Array(scores);
  const nan = values.findIndex(Number.isNaN);
  if (nan >= 0) {
    const [x, y] = [nan % width, Math.floor(nan / width) % height];
    throw new ImageError(
      'MASK_UNDEFINED',
      `the model's output is NaN at x = ${x}, y = ${y}: the pixel has no class`,
    );
  }
  if (isClassIndices(scores)) return maskOfIndices(values, width, height);
  const classes =
    threshold === undefined
      ? new Uint16Array(toFloat64Array(argmax(tensor('float64', scores.dims, values), 1)))
      : new Uint16Array(values.map((value) => Number(value > threshold)));
  return { width, height, numClasses: Math.max(2, count), classes };
}

/**
 * Returns the score above which a pixel belongs to class 1: a half if all scores are within 0 and 1, as a Sigmoid gives
 * them, else 0, where the sigmoid of a logit is a half; `undefined` if pixels have several scores or an index.
 */
export function thresholdOf(scores: TensorData): number | undefined {
  if (scores.dims[1] !== 1 || isClassIndices(scores)) return undefined;
  return toFloat64Array(scores).every((value) => value >= 0 && value <= 1) ? 0.5 : 0;
}

/** The largest index that a mask holds. */
const MAX_CLASS = 65535;

function maskOfIndices(values: Float64Array, width: number, height: number): Mask {
  const isBlackAndWhite = values.includes(255) && values.every((value) => value === 0 || value === 255);
  const classes = Uint16Array.from(values, (value) => (isBlackAndWhite ? value / 255 : value));
  const odd = values.find((value) => value < 0 || value > MAX_CLASS);
  if (odd !== undefined) {
    throw new ImageError(
      'MASK_UNDEFINED',
      `the model's output has ${odd} in place of a class, which must be an integer from 0 to ${MAX_CLASS}`,
    );
  }
  return {
    width,
    height,
    numClasses: classes.reduce((most, index) => Math.max(most, index + 1), 2),
    classes,
  };
}

/**
 * Requires a mask with one class per pixel, each below `numClasses`.
 * @param where What takes the mask, for the message: `overlay`.
 * @throws ImageError `MASK_INVALID`.
 */
function requireMask(where: string, mask: Mask): void {
  const { width, height, numClasses, classes } = (mask ?? {}) as Partial<Mask>;
  const sized = typeName(classes) === 'Uint16Array' && classes!.length === width! * height!;
  if (sized && classes!.every((index) => index < numClasses!)) return;
  throw new ImageError(
    'MASK_INVALID',
    `${where}: this is not a mask: it must have width, height, numClasses and classes, a Uint16Array with one class ` +
      'per pixel, each below numClasses',
  );
}

/**
 * Draws a mask: two classes in black and white as a grey image, more in the colours of PASCAL VOC as RGB.
 * @throws ImageError `MASK_INVALID` if `mask` is not a mask.
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
 * Returns the colour of a class, as segmentation data sets since PASCAL VOC have it: the bits of the index, three at a
 * time, become red, green and blue, from their highest bit on. Class 0 is black; colours differ for all indices below
 * 2²⁴.
 */
export function classColour(index: number): [red: number, green: number, blue: number] {
  const colour: [number, number, number] = [0, 0, 0];
  for (let bit = 7, rest = index; rest > 0; bit--, rest >>= 3) {
    for (let c = 0; c < 3; c++) colour[c]! |= ((rest >> c) & 1) << bit;
  }
  return colour;
}

type Colour = readonly [red: number, green: number, blue: number];

/** Options of {@link overlay}. */
export interface OverlayOptions {
  /** How many pixels wide and high each pixel of the image becomes: an integer of at least 1. Default 1. */
  readonly scale?: number;
  /** How much of the class's colour covers its area, from 0 to 1. Default 0.1. */
  readonly tint?: number;
}

/** The colour of class 1 if there are two classes: yellow is visible on tissue of most colours. */
const SINGLE: Colour = [255, 214, 10];

/**
 * Draws a mask over its image: tints every area of a class other than 0, and draws a line around it.
 * @returns An RGB image of 8 bits, `scale` times as wide and as high.
 * @throws ImageError `MASK_SIZE` if the mask has another size than the image, `IMAGE_INVALID` if `image` is not an image
 *   or `scale` is not an integer of at least 1, `MASK_INVALID` if `mask` is not a mask; OptionError `UNKNOWN_OPTION`.
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

/** Whether a point of the drawing is on the line along the inside of an area's edge. */
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
