/** Pixels as a canvas has them. */
import { ImageError } from '../errors.js';
import { requireImage, type Image } from './image.js';

/** Four bytes a pixel: red, green, blue and alpha. A canvas's ImageData is one. */
export interface RgbaPixels {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Row by row from the top left. */
  readonly data: Uint8ClampedArray<ArrayBuffer> | Uint8Array<ArrayBuffer>;
}

/**
 * The red, green and blue of pixels; alpha is dropped, as by `decodePng`.
 * @throws ImageError `IMAGE_INVALID` if there are more or fewer bytes than the size takes.
 */
export function fromRgba({ width, height, data }: RgbaPixels): Image {
  const pixels = width * height;
  if (data.length !== 4 * pixels) {
    const size = `${width} × ${height} pixels of red, green, blue and alpha`;
    throw new ImageError('IMAGE_INVALID', `${size} take ${4 * pixels} bytes, not ${data.length}`);
  }
  const samples = new Uint8Array(3 * pixels);
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let c = 0; c < 3; c++) samples[3 * pixel + c] = data[4 * pixel + c]!;
  }
  return { width, height, channels: 3, samples, max: 255 };
}

/**
 * An image as opaque pixels of 8 bits, such as `new ImageData(data, width, height)` takes.
 * @throws ImageError `IMAGE_INVALID` if it is none.
 */
export function toRgba(image: Image): RgbaPixels & {
  readonly data: Uint8ClampedArray<ArrayBuffer>;
} {
  requireImage('toRgba', image);
  const { width, height, channels, samples, max } = image;
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < 3; c++) {
      data[4 * pixel + c] = (255 * samples[pixel * channels + (channels === 1 ? 0 : c)]!) / max;
    }
  }
  return { width, height, data };
}
