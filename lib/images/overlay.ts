/** A mask drawn over its image, for people to look at. */
import { ImageError } from '../errors.js';
import { requireKnownOptions } from '../options.js';
import { requireImage, type Image } from './image.js';
import { classColour, requireMask, type Mask } from './mask.js';

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
