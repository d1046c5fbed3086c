/**
 * Reads and writes PNG files; the only code that knows pngjs. A file's header is checked before anything is decoded,
 * because a decoder allocates what the header claims.
 * Source: Portable Network Graphics, third edition (W3C), sections 5, 8.1 and 11.2.1.
 */
import process from 'node:process';
import { constants, crc32, deflateSync, inflateRawSync } from 'node:zlib';
import { PNG, type PNGWithMetadata } from 'pngjs';
import { isUint8Array } from '../arrays.js';
import { ImageError } from '../errors.js';
import { printable } from '../printable.js';
import { type Image, requireImage } from './image.js';

/** What a PNG file claims to hold. */
interface PngLayout {
  readonly width: number;
  readonly height: number;
  /** The size of the pixels before compression, in bytes. */
  readonly rawSize: number;
  /** The chunk IHDR without its length, type and checksum. */
  readonly header: Uint8Array;
  /** The same of the chunk PLTE, if the file has one. */
  readonly palette: Uint8Array | undefined;
  /** The compressed pixels, in the order of the chunks. */
  readonly data: readonly Uint8Array[];
  /** Whether the checksum of every chunk of compressed pixels is right. */
  readonly isDataChecked: boolean;
  /** Whether the file has its last chunk, IEND. */
  readonly hasEnd: boolean;
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
  if (!isUint8Array(bytes)) {
    throw invalidPng(where, 'it must be given as its bytes, a Uint8Array, not as a path or anything else');
  }
  if (SIGNATURE.some((byte, at) => bytes[at] !== byte)) {
    throw invalidPng(where, 'it does not begin with the PNG signature; convert it to PNG');
  }
  const chunks = readChunks(bytes, where);
  const { header, data } = chunks;
  const { width, height, passes, bitsPerPixel } = readHeader(header, where);
  const rawSize = passes.reduce((sum, pass) => sum + passSize(pass, width, height, bitsPerPixel), 0);
  const compressed = data.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (rawSize > compressed * BEST_COMPRESSION) {
    const claim = `its header claims ${width} × ${height} pixels, more than ${compressed} compressed bytes can hold`;
    throw invalidPng(where, chunks.hasEnd ? claim : `it is truncated: ${claim}`);
  }
  return { width, height, rawSize, ...chunks };
}

/** Returns the size of one pass in bytes: each row has one byte for its filter. A pass without pixels has no rows. */
function passSize([x0, y0, dx, dy]: Pass, width: number, height: number, bitsPerPixel: number): number {
  const columns = Math.max(0, Math.ceil((width - x0) / dx));
  const rows = Math.max(0, Math.ceil((height - y0) / dy));
  return columns === 0 ? 0 : rows * (1 + Math.ceil((columns * bitsPerPixel) / 8));
}

/** Reads up to the chunk IEND, or to the end of the file, within a chunk or not. Ignores chunks of other types. */
function readChunks(bytes: Uint8Array, where: string): Omit<PngLayout, 'width' | 'height' | 'rawSize'> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data: Uint8Array[] = [];
  let [header, palette]: (Uint8Array | undefined)[] = [];
  let [isDataChecked, hasEnd] = [true, false];
  for (let at = SIGNATURE.length; at + 8 <= bytes.length && !hasEnd;) {
    const end = at + 8 + view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, end);
    const isChecked = end + 4 <= bytes.length && crc32(bytes.subarray(at + 4, end)) === view.getUint32(end);
    // A second header is refused, because the decoder would use it.
    if ((type === 'IHDR') === (header !== undefined) || (type === 'IHDR' && end !== at + 8 + 13)) {
      throw invalidPng(where, 'it must begin with one header of 13 bytes');
    }
    if ((type === 'IHDR' || type === 'PLTE') && end + 4 <= bytes.length && !isChecked) {
      throw invalidPng(where, `it is damaged: its chunk ${type} does not match its checksum`);
    }
    if (type === 'IHDR' && isChecked) header = content;
    if (type === 'PLTE') palette = content;
    if (type === 'IDAT') {
      data.push(content);
      isDataChecked &&= isChecked;
    }
    hasEnd = type === 'IEND';
    at = end + 4;
  }
  if (header && (data.length > 0 || hasEnd)) return { header, palette, data, isDataChecked, hasEnd };
  throw invalidPng(where, `it is truncated: its ${bytes.length} bytes end before its pixels`);
}

function readHeader(header: Uint8Array, where: string) {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, interlace] = [view.getUint8(8), view.getUint8(9), view.getUint8(12)];
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
};

/**
 * Decodes a PNG file of any colour type, depth and interlacing. Grey stays grey; a palette becomes RGB. Drops alpha, and
 * applies neither gamma nor colour profiles, as Pillow's `convert('RGB')`. As browsers and Pillow do, reads files whose
 * pixels are whole although something else is damaged: a wrong or missing checksum, bytes behind the pixels, no end.
 * Source: Portable Network Graphics, third edition (W3C).
 * @param where What messages call the data: the file's path.
 * @param warn Receives a message about such damage. Default: `process.emitWarning`, with the code
 *   `ONNX_GROUPNORM_PNG`.
 * @throws ImageError `IMAGE_INVALID` if the bytes are not a PNG file, or pixels are missing, damaged, or match neither of
 *   their checksums; `IMAGE_TOO_LARGE` for more than 2²⁶ pixels.
 */
export function decodePng(
  bytes: Uint8Array,
  where = 'the data',
  warn: (message: string) => void = (message) =>
    process.emitWarning(printable(message), { code: 'ONNX_GROUPNORM_PNG' }),
): Image {
  const layout = readPngLayout(bytes, where);
  const { pixels, problems } = inflatePixels(layout, where);
  if (!layout.hasEnd) problems.push('its last chunk, IEND, is missing');
  if (problems.length > 0) warn(`${where} is damaged, but all its pixels are there: ${problems.join('; ')}`);
  try {
    return toImage(PNG.sync.read(repaired(layout, pixels), { skipRescale: true }));
  } catch (cause) {
    const reason = cause instanceof Error ? ` (${cause.message})` : '';
    throw invalidPng(where, `it is damaged${reason}`, cause);
  }
}

/** The size of the header of compressed data, and that of the checksum behind the data. Source: RFC 1950. */
const [ZLIB_HEADER_SIZE, ADLER_SIZE] = [2, 4];

/** So many bytes behind the pixels are ignored, besides as many bytes as the pixels take. */
const SPARE = 2 ** 16;

/** Returns the pixels before compression, and what is wrong with the data although it has them all. */
function inflatePixels(
  { data, rawSize, isDataChecked, hasEnd }: PngLayout,
  where: string,
): { pixels: Uint8Array; problems: string[] } {
  const compressed = Buffer.concat(data);
  const state = hasEnd ? 'it is damaged' : 'it is truncated';
  const { buffer: inflated, engine } = inflateSome(compressed, 2 * rawSize + SPARE, where);
  if (inflated.length < rawSize) {
    const what = `its pixels take ${rawSize} bytes, but its data has ${inflated.length}`;
    throw invalidPng(where, `${state}: ${what}`);
  }
  const end = ZLIB_HEADER_SIZE + engine.bytesWritten;
  const hasAdler = end + ADLER_SIZE <= compressed.length;
  const isAdlerRight = hasAdler && compressed.readUInt32BE(end) === adler32(inflated);
  if (!isDataChecked && !isAdlerRight) {
    throw invalidPng(where, `${state}: its pixels match neither of their checksums (CRC and Adler-32)`);
  }
  const problems: string[] = [];
  if (!isDataChecked) problems.push('the CRC of a chunk of pixels is wrong or missing');
  if (!isAdlerRight)
    problems.push(`the Adler-32 checksum of the pixels is ${hasAdler ? 'wrong' : 'missing'}`);
  if (inflated.length > rawSize) problems.push(`${inflated.length - rawSize} bytes follow the pixels`);
  return { pixels: inflated.subarray(0, rawSize), problems };
}

/** Inflates what is there, if the end is missing too. Leaves the checksum to the caller. */
function inflateSome(compressed: Buffer, maxOutputLength: number, where: string) {
  try {
    const deflated = compressed.subarray(ZLIB_HEADER_SIZE);
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength, info: true } as const;
    // The types do not say what `info` returns.
    return inflateRawSync(deflated, options) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw invalidPng(where, `it is damaged: its data has more than ${maxOutputLength} bytes`, cause);
    }
    const reason = cause instanceof Error ? ` (${cause.message})` : '';
    throw invalidPng(where, `it is damaged: its compressed pixels cannot be read${reason}`, cause);
  }
}

/** Source: RFC 1950, section 9. Sums of 5552 bytes stay below 2³². */
function adler32(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (let start = 0; start < bytes.length; start += 5552) {
    for (let i = start; i < Math.min(start + 5552, bytes.length); i++) {
      a += bytes[i]!;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b * 65536 + a;
}

/**
 * Returns a PNG file without damage, for pngjs, which reads no other: it shows a damaged file with whatever was in
 * memory, or refuses it. Transparency is left out, because pngjs makes the transparent colour black.
 */
const repaired = ({ header, palette }: PngLayout, pixels: Uint8Array): Buffer =>
  Buffer.concat([
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', header),
    ...(palette ? [chunk('PLTE', palette)] : []),
    chunk('IDAT', deflateSync(pixels, { level: constants.Z_NO_COMPRESSION })),
    chunk('IEND', new Uint8Array(0)),
  ]);

function chunk(type: string, content: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + content.length);
  bytes.writeUInt32BE(content.length);
  bytes.write(type, 4, 'latin1');
  bytes.set(content, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + content.length)), 8 + content.length);
  return bytes;
}

/** Makes an image out of pngjs's red, green, blue and alpha, whose samples have the file's depth. */
function toImage({ width, height, depth, palette, colorType, data }: Decoded): Image {
  const channels = colorType === 0 || colorType === 4 ? 1 : 3;
  const samples = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < channels; c++) samples[pixel * channels + c] = data[4 * pixel + c]!;
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
