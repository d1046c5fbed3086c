/** PNG files: the only code that knows pngjs. */
import { inflateSync } from 'node:zlib';
import { PNG, type PNGWithMetadata } from 'pngjs';
import { requireImage, type Image } from './image.js';
import { invalidPng, readPngLayout, type PngLayout } from './png-layout.js';

/** What pngjs returns: with 16 bits its data is a Uint16Array, and colour types include 3, a palette. */
type Decoded = Omit<PNGWithMetadata, 'data' | 'colorType'> & {
  readonly data: Uint8Array | Uint16Array;
  readonly colorType: number;
  /** The grey or the red, green and blue that stands for transparent. */
  readonly transColor?: readonly number[];
};

/**
 * Decodes a PNG of any colour type, depth and interlacing. Grey stays grey; a palette becomes RGB. Alpha is
 * dropped, and gamma and colour profiles are not applied, as with Pillow's `convert('RGB')`.
 * @param where what messages call the data: the file's path.
 * @throws ImageError `IMAGE_INVALID` if the bytes are not a PNG, or a truncated or damaged one; `IMAGE_TOO_LARGE`.
 */
export function decodePng(bytes: Uint8Array, where = 'the data'): Image {
  const layout = readPngLayout(bytes, where);
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, layout.end);
  try {
    requirePixels(layout);
    return toImage(PNG.sync.read(whole, { skipRescale: true }));
  } catch (cause) {
    const reason = cause instanceof Error ? ` (${cause.message})` : '';
    throw invalidPng(where, `it is damaged${reason}`, cause);
  }
}

/**
 * pngjs inflates interlaced data without a limit, and where other data is short its pixels are whatever was in
 * memory. So the data is inflated once before: it must come to the pixels, neither more nor less.
 */
function requirePixels({ data, rawSize }: PngLayout): void {
  const { byteLength } = inflateSync(Buffer.concat(data), { maxOutputLength: rawSize });
  if (byteLength < rawSize) throw new Error(`its pixels take ${rawSize} bytes, but it has ${byteLength}`);
}

/** Out of pngjs's red, green, blue and alpha, whose samples are as the file has them. */
function toImage({ width, height, depth, palette, colorType, data, transColor }: Decoded): Image {
  const channels = colorType === 0 || colorType === 4 ? 1 : 3;
  const samples = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    // pngjs makes this one colour black.
    const replaced = transColor !== undefined && data[4 * pixel + 3] === 0;
    for (let c = 0; c < channels; c++) {
      samples[pixel * channels + c] = replaced ? transColor[c]! : data[4 * pixel + c]!;
    }
  }
  return { width, height, channels, samples, max: palette ? 255 : 2 ** depth - 1 };
}

/**
 * An image as a PNG of 8 bits: grey or RGB. Samples of other depths are rounded to 8 bits.
 * @throws ImageError `IMAGE_INVALID` if it is none, or has more or fewer samples than its size takes.
 */
export function encodePng(image: Image): Uint8Array {
  requireImage('encodePng', image);
  const { width, height, channels, samples, max } = image;
  const colorType = channels === 1 ? 0 : 2;
  const data = Buffer.from(toBytes(samples, max).buffer);
  const options = { colorType, inputColorType: colorType, inputHasAlpha: false } as const;
  return new Uint8Array(PNG.sync.write({ width, height, data } as PNG, options));
}

function toBytes(samples: ArrayLike<number>, max: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(samples.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.round((255 * samples[i]!) / max);
  return bytes;
}
