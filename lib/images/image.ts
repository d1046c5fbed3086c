/** Images as pixels: what an image is, and the pixels of a canvas. */
import { ImageError } from '../errors.js';

/** An image as samples, row by row from the top left. */
export interface Image {
  /** The number of pixels in a row. */
  readonly width: number;
  /** The number of rows. */
  readonly height: number;
  /** Samples per pixel. 1: grey; 3: red, green, blue. */
  readonly channels: 1 | 3;
  /** `channels` samples per pixel, from 0 to `max`. */
  readonly samples: Uint8Array | Uint16Array;
  /** The sample of full intensity: 255 for 8 bits, 65535 for 16. */
  readonly max: number;
}

/**
 * Requires an image with as many samples as its size takes.
 * @param where What takes the image, for the message: `encodePng`.
 * @throws ImageError `IMAGE_INVALID`.
 */
export function requireImage(where: string, image: Image): void {
  const { width, height, channels, samples, max } = (image ?? {}) as Partial<Image>;
  const sized = [width, height, max].every((size) => Number.isSafeInteger(size) && size! > 0);
  if (!sized || (channels !== 1 && channels !== 3) || samples?.length === undefined) {
    const remedy = ArrayBuffer.isView((image as unknown as RgbaPixels | undefined)?.data)
      ? '; fromRgba makes an image of pixels of red, green, blue and alpha'
      : '';
    throw new ImageError(
      'IMAGE_INVALID',
      `${where}: this is not an image: width, height and max must be integers above 0, channels 1 or 3${remedy}`,
    );
  }
  if (samples.length === width! * height! * channels) return;
  throw new ImageError(
    'IMAGE_INVALID',
    `${where}: ${width} × ${height} pixels of ${channels} samples each take ${width! * height! * channels}, ` +
      `but the image has ${samples.length}`,
  );
}

/** Pixels of four bytes: red, green, blue and alpha. A canvas's ImageData is one. */
export interface RgbaPixels {
  /** The number of pixels in a row. */
  readonly width: number;
  /** The number of rows. */
  readonly height: number;
  /** Four bytes per pixel, row by row from the top left. */
  readonly data: Uint8ClampedArray<ArrayBuffer> | Uint8Array<ArrayBuffer>;
}

/**
 * Makes an RGB image of 8 bits out of RGBA pixels; drops alpha, as `decodePng` does.
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
 * Makes opaque RGBA pixels of 8 bits out of an image, for `new ImageData(data, width, height)`.
 * @throws ImageError `IMAGE_INVALID` if `image` is not an image.
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
