/**
 * Reads and writes PNG files; the only code that knows pngjs. A file's header is checked before anything is decoded,
 * because a decoder allocates what the header claims.
 * Source: Portable Network Graphics, third edition (W3C), sections 5, 8.1 and 11.2.1.
 */
import { inflateSync } from 'node:zlib';
import { PNG, type PNGWithMetadata } from 'pngjs';
import { ImageError } from '../errors.js';
import { type Image, requireImage } from './image.js';

/** What a PNG file claims to hold. */
interface PngLayout {
  readonly width: number;
  readonly height: number;
  /** The size of the pixels before compression, in bytes. */
  readonly rawSize: number;
  /** The compressed pixels, in the order of the chunks. */
  readonly data: readonly Uint8Array[];
  /** The index after the last chunk; some programs leave bytes behind it. */
  readonly end: number;
}

/** 8192 × 8192: 256 MB as RGBA, and a network needs many times that. */
const MAX_PIXELS = 2 ** 26;

/** The best ratio that deflate can reach. Source: zlib's technical details. */
const BEST_COMPRESSION = 1032;

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Samples per pixel and allowed depths, by colour type. */
const COLOUR_TYPES = new Map<number, { samples: number; depths: readonly number[] }>([
  [0, { samples: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { samples: 3, depths: [8, 16] }],
  [3, { samples: 1, depths: [1, 2, 4, 8] }],
  [4, { samples: 2, depths: [8, 16] }],
  [6, { samples: 4, depths: [8, 16] }],
]);

/** One pass of interlacing: its first column and row, and its steps. */
type Pass = readonly [x0: number, y0: number, dx: number, dy: number];
const WHOLE: readonly Pass[] = [[0, 0, 1, 1]];
const ADAM7: readonly Pass[] = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/** @param where What messages call the data: the file's path. */
const invalidPng = (where: string, what: string, cause?: unknown): ImageError =>
  new ImageError('IMAGE_INVALID', `${where} is not a valid PNG: ${what}`, { cause });

/**
 * Reads the header and finds the chunks, without decompressing.
 * @throws ImageError `IMAGE_INVALID` if the file is not a PNG, truncated, or claims more pixels than its bytes can
 *   hold; `IMAGE_TOO_LARGE`.
 */
export function readPngLayout(bytes: Uint8Array, where: string): PngLayout {
  if (!(bytes instanceof Uint8Array)) {
    throw invalidPng(where, 'it must be given as its bytes, a Uint8Array, not as a path or anything else');
  }
  if (SIGNATURE.some((byte, at) => bytes[at] !== byte)) {
    throw invalidPng(where, 'it does not begin with the PNG signature; convert it to PNG');
  }
  const { header, data, end } = readChunks(bytes, where);
  const { width, height, passes, bitsPerPixel } = readHeader(header, where);
  const rawSize = passes.reduce((sum, pass) => sum + passSize(pass, width, height, bitsPerPixel), 0);
  const compressed = data.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (rawSize > compressed * BEST_COMPRESSION) {
    throw invalidPng(
      where,
      `its header claims ${width} × ${height} pixels, more than ${compressed} compressed bytes can hold`,
    );
  }
  return { width, height, rawSize, data, end };
}

/** Returns the size of one pass in bytes: each row has one byte for its filter. A pass without pixels has no rows. */
function passSize([x0, y0, dx, dy]: Pass, width: number, height: number, bitsPerPixel: number): number {
  const columns = Math.max(0, Math.ceil((width - x0) / dx));
  const rows = Math.max(0, Math.ceil((height - y0) / dy));
  return columns === 0 ? 0 : rows * (1 + Math.ceil((columns * bitsPerPixel) / 8));
}

function readChunks(bytes: Uint8Array, where: string) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data: Uint8Array[] = [];
  let header: DataView | undefined;
  for (let at = SIGNATURE.length; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const next = at + 12 + length;
    if (next > bytes.length) break;
    // A second header is refused, because the decoder would use it.
    if ((type === 'IHDR') === (header !== undefined) || (type === 'IHDR' && length !== 13)) {
      throw invalidPng(where, 'it must begin with one header of 13 bytes');
    }
    if (type === 'IHDR') header = new DataView(view.buffer, view.byteOffset + at + 8, length);
    if (type === 'IDAT') data.push(bytes.subarray(at + 8, at + 8 + length));
    if (type === 'IEND') return { header: header!, data, end: next };
    at = next;
  }
  throw invalidPng(where, `it is truncated: its ${bytes.length} bytes end before its last chunk does`);
}

function readHeader(header: DataView, where: string) {
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const [depth, colourType, interlace] = [header.getUint8(8), header.getUint8(9), header.getUint8(12)];
  const colours = COLOUR_TYPES.get(colourType);
  if (!colours?.depths.includes(depth)) {
    throw invalidPng(
      where,
      `its header has colour type ${colourType} with ${depth} bits, which PNG does not allow`,
    );
  }
  if (interlace > 1)
    throw invalidPng(where, `its header has interlace method ${interlace}; allowed: 0 and 1`);
  if (width === 0 || height === 0) throw invalidPng(where, `it has ${width} × ${height} pixels`);
  if (width * height > MAX_PIXELS) {
    const most = `${MAX_PIXELS} pixels (8192 × 8192); cut it into parts`;
    throw new ImageError('IMAGE_TOO_LARGE', `${where} has ${width} × ${height} pixels; allowed: ${most}`);
  }
  const passes = interlace === 1 ? ADAM7 : WHOLE;
  return { width, height, passes, bitsPerPixel: depth * colours.samples };
}

/** What pngjs returns, which its types do not say: a Uint16Array for 16 bits, and colour type 3, a palette. */
type Decoded = Omit<PNGWithMetadata, 'data' | 'colorType'> & {
  readonly data: Uint8Array | Uint16Array;
  readonly colorType: number;
  /** The grey, or the red, green and blue, that means transparent. */
  readonly transColor?: readonly number[];
};

/**
 * Decodes a PNG file of any colour type, depth and interlacing. Grey stays grey; a palette becomes RGB. Drops alpha, and
 * applies neither gamma nor colour profiles, as Pillow's `convert('RGB')`.
 * Source: Portable Network Graphics, third edition (W3C).
 * @param where What messages call the data: the file's path.
 * @throws ImageError `IMAGE_INVALID` if the bytes are not a PNG file, or are truncated or damaged; `IMAGE_TOO_LARGE` for
 *   more than 2²⁶ pixels.
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
 * Inflates the data once and requires its exact size. pngjs inflates interlaced data without a limit, and fills missing
 * pixels of other data with whatever was in memory.
 */
function requirePixels({ data, rawSize }: PngLayout): void {
  const { byteLength } = inflateSync(Buffer.concat(data), { maxOutputLength: rawSize });
  if (byteLength < rawSize)
    throw new Error(`its pixels take ${rawSize} bytes, but its data has ${byteLength}`);
}

/** Makes an image out of pngjs's red, green, blue and alpha, whose samples have the file's depth. */
function toImage({ width, height, depth, palette, colorType, data, transColor }: Decoded): Image {
  const channels = colorType === 0 || colorType === 4 ? 1 : 3;
  const samples = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    // pngjs makes the transparent colour black.
    const replaced = transColor !== undefined && data[4 * pixel + 3] === 0;
    for (let c = 0; c < channels; c++) {
      samples[pixel * channels + c] = replaced ? transColor[c]! : data[4 * pixel + c]!;
    }
  }
  return { width, height, channels, samples, max: palette ? 255 : 2 ** depth - 1 };
}

/**
 * Encodes an image as a PNG file of 8 bits, grey or RGB. Rounds samples of other depths to 8 bits.
 * @throws ImageError `IMAGE_INVALID` if `image` is not an image, or has more or fewer samples than its size takes.
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
