import { ImageError } from '../errors.js';

/** Pixels, row by row from the top left. */
export interface Image {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1: grey; 3: red, green, blue. */
  readonly channels: 1 | 3;
  /** `channels` samples a pixel, 0 to `max`. */
  readonly samples: Uint8Array | Uint16Array;
  /** The sample of full intensity: 255 for 8 bits, 65535 for 16. */
  readonly max: number;
}

/**
 * @param where What takes the image, for the message: `encodePng`.
 * @throws ImageError `IMAGE_INVALID` if it is none, or has more or fewer samples than its size takes.
 */
export function requireImage(where: string, image: Image): void {
  const { width, height, channels, samples, max } = (image ?? {}) as Partial<Image>;
  const sized = [width, height, max].every((size) => Number.isSafeInteger(size) && size! > 0);
  if (!sized || (channels !== 1 && channels !== 3) || samples?.length === undefined) {
    throw new ImageError(
      'IMAGE_INVALID',
      `${where}: this is not an image: width, height and max must be integers above 0, channels 1 or 3`,
    );
  }
  if (samples.length === width! * height! * channels) return;
  throw new ImageError(
    'IMAGE_INVALID',
    `${where}: ${width} × ${height} pixels of ${channels} samples each take ${width! * height! * channels}, ` +
      `but the image has ${samples.length}`,
  );
}
