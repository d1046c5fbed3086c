/**
 * Reads and writes PNG files; the only code that knows pngjs, which writes. A file's header is checked before anything is
 * decoded, because a decoder allocates what the header claims.
 * Source: Portable Network Graphics, third edition (W3C), sections 5, 8.1 and 11.2.1.
 */
import process from 'node:process';
import { constants, crc32, inflateRawSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { isError, isRangeError, isUint8Array } from '../arrays.js';
import { ImageError } from '../errors.js';
import { Budget, type Limits, overLimit, requireLimits } from '../limits.js';
import { requireKnownOptions } from '../options.js';
import { printable } from '../printable.js';
import { type Image, requireImage } from './image.js';
import { COLOUR_TYPES, type PngHeader, rawSizeOf, readPixels, sampleBytesOf } from './png-pixels.js';

/** What a PNG file claims to hold. */
interface PngLayout extends PngHeader {
  /** The size of the pixels before compression, in bytes. */
  readonly rawSize: number;
  /** The chunk PLTE without its length, type and checksum, if the file has one. */
  readonly palette: Uint8Array | undefined;
  /** The compressed pixels of all chunks. */
  readonly data: Uint8Array;
  /** The CRC of the chunks of compressed pixels: all right, or one is missing or 0, or one is another. */
  readonly crc: Checksum;
  /** Whether the file has its last chunk, IEND. */
  readonly hasEnd: boolean;
  /** What other decoders may refuse although it leaves the pixels whole. */
  readonly problems: readonly string[];
}

/** What a checksum says of the pixels. Writers that do not compute it leave it out, or write 0. */
type Checksum = 'right' | 'missing' | 'wrong';

/** The best ratio that deflate can reach. Source: zlib's technical details. */
const BEST_COMPRESSION = 1032;

/** The first bytes of a PNG file. */
export const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** @param where What messages call the data: the file's path. */
const invalidPng = (where: string, what: string, cause?: unknown): ImageError =>
  new ImageError('IMAGE_INVALID', `${where} is not a valid PNG: ${what}`, { cause });

/** @throws ImageError `IMAGE_INVALID` if a file does not begin as a PNG does. */
export function requirePngSignature(bytes: Uint8Array, where: string): void {
  if (SIGNATURE.every((byte, at) => bytes[at] === byte)) return;
  throw invalidPng(where, 'it does not begin with the PNG signature; convert it to PNG');
}

/**
 * Reads the header and finds the chunks, without decompressing.
 * @throws ImageError `IMAGE_INVALID` if the file is not a PNG, truncated, or claims more pixels than its bytes can
 *   hold; `IMAGE_TOO_LARGE`.
 */
export function readPngLayout(bytes: Uint8Array, where: string, limits: Limits): PngLayout {
  if (!isUint8Array(bytes)) {
    throw invalidPng(where, 'it must be given as its bytes, a Uint8Array, not as a path or anything else');
  }
  requirePngSignature(bytes, where);
  const { header: ihdr, ...chunks } = readChunks(bytes, where);
  const header = readHeader(ihdr, where);
  const rawSize = rawSizeOf(header);
  const allowed = new Budget(limits, bytes.byteLength).allowed('imageBytes');
  const memory = rawSize + sampleBytesOf(header);
  if (memory > allowed) {
    const claim = `${where} has ${header.width} × ${header.height} pixels, which take ${memory} bytes to decode`;
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      ...overLimit(`${claim}; allowed for a file of this size: ${allowed}`, 'imageBytes'),
    );
  }
  if (rawSize > chunks.data.length * BEST_COMPRESSION) {
    const size = `${header.width} × ${header.height} pixels`;
    const claim = `its header claims ${size}, more than ${chunks.data.length} compressed bytes can hold`;
    throw invalidPng(where, chunks.hasEnd ? claim : `it is truncated: ${claim}`);
  }
  return { ...header, rawSize, ...chunks };
}

/** The chunks that a decoder must know. Source: section 5.4: the name of any other such chunk begins with a capital. */
const CRITICAL = ['IHDR', 'PLTE', 'IDAT', 'IEND'];

/** Reads up to the chunk IEND, or to the end of the file, within a chunk or not. Ignores chunks of other types. */
function readChunks(bytes: Uint8Array, where: string) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // One array for all chunks, of which a file may have a million.
  const data = new Uint8Array(bytes.length);
  let size = 0;
  let [header, palette]: (Uint8Array | undefined)[] = [];
  let [hasData, hasEnd] = [false, false];
  let crc = 'right' as Checksum;
  let last = '';
  const problems = new Set<string>();
  for (let at = SIGNATURE.length; at + 8 <= bytes.length && !hasEnd;) {
    const end = at + 8 + view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, end);
    const written = end + 4 <= bytes.length ? view.getUint32(end) : 0;
    const isChecked = end + 4 <= bytes.length && crc32(bytes.subarray(at + 4, end)) === written;
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
      if (hasData && last !== type) problems.add('other chunks stand between the chunks of pixels');
      data.set(content, size);
      size += content.length;
      hasData = true;
      if (!isChecked) crc = written === 0 && crc !== 'wrong' ? 'missing' : 'wrong';
    }
    if (/^[A-Z]/.test(type) && !CRITICAL.includes(type))
      problems.add('it has a chunk that PNG does not know');
    hasEnd = type === 'IEND';
    last = type;
    at = end + 4;
  }
  if (header && (hasData || hasEnd))
    return { header, palette, data: data.subarray(0, size), crc, hasEnd, problems: [...problems] };
  throw invalidPng(where, `it is truncated: its ${bytes.length} bytes end before its pixels`);
}

function readHeader(ihdr: Uint8Array, where: string): PngHeader {
  const view = new DataView(ihdr.buffer, ihdr.byteOffset, ihdr.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, compression, filter, interlace] = [8, 9, 10, 11, 12].map((at) => view.getUint8(at)) as [number, number, number, number, number]; // prettier-ignore
  if (!COLOUR_TYPES.get(colourType)?.depths.includes(depth)) {
    throw invalidPng(
      where,
      `its header has colour type ${colourType} with ${depth} bits, which PNG does not allow`,
    );
  }
  if (compression > 0 || filter > 0) {
    const methods = `compression method ${compression} and filter method ${filter}`;
    throw invalidPng(where, `its header has ${methods}; allowed: 0 and 0`);
  }
  if (interlace > 1)
    throw invalidPng(where, `its header has interlace method ${interlace}; allowed: 0 and 1`);
  if (width === 0 || height === 0) throw invalidPng(where, `it has ${width} × ${height} pixels`);
  return { width, height, depth, colourType, isInterlaced: interlace === 1 };
}

/** How to decode a PNG file. */
export interface DecodePngOptions {
  /**
   * Receives a message about damage that leaves the pixels whole. Default: `process.emitWarning`, with the code
   * `ONNX_GROUPNORM_PNG`.
   */
  readonly warn?: (message: string) => void;
  /** How much memory the image may take: `imageBytes`. Default: `DEFAULT_LIMITS`. */
  readonly limits?: Partial<Limits> | undefined;
}

const emitWarning = (message: string): void =>
  process.emitWarning(printable(message), { code: 'ONNX_GROUPNORM_PNG' });

/**
 * Decodes a PNG file of any colour type, depth and interlacing. Grey stays grey; a palette becomes RGB. Drops alpha, and
 * applies neither gamma nor colour profiles, as Pillow's `convert('RGB')`. As browsers and Pillow do, reads files whose
 * pixels are whole although something else is damaged: a wrong or missing checksum, bytes behind the pixels, no end. An
 * index that the palette does not have is black.
 * Source: Portable Network Graphics, third edition (W3C).
 * @param where What messages call the data: the file's path.
 * @throws ImageError `IMAGE_INVALID` if the bytes are not a PNG file, or pixels are missing, damaged, or match neither of
 *   their checksums; `IMAGE_TOO_LARGE` for an image that takes more memory than `limits.imageBytes`
 *   and 7 times the file.
 */
export function decodePng(bytes: Uint8Array, where = 'the data', options: DecodePngOptions = {}): Image {
  requireKnownOptions('decodePng', options, ['warn', 'limits']);
  const { warn = emitWarning, limits } = options;
  const layout = readPngLayout(bytes, where, requireLimits('decodePng', limits));
  const { pixels, problems } = inflatePixels(layout, where);
  problems.push(...layout.problems);
  if (!layout.hasEnd) problems.push('its last chunk, IEND, is missing');
  try {
    const { image, foreignIndex } = readPixels(layout, pixels, layout.palette);
    if (foreignIndex !== undefined)
      problems.push(`its palette has no colour ${foreignIndex}, which is black`);
    if (problems.length > 0)
      warn(`${where} is damaged, but all its pixels are there: ${problems.join('; ')}`);
    return image;
  } catch (cause) {
    // Of the pixels, or of an image that memory cannot hold.
    if (!isRangeError(cause)) throw cause;
    throw invalidPng(where, `it is damaged (${cause.message})`, cause);
  }
}

/** The size of the header of compressed data, and that of the checksum behind the data. Source: RFC 1950. */
const [ZLIB_HEADER_SIZE, ADLER_SIZE] = [2, 4];

/** So many bytes behind the pixels are ignored. */
const SPARE = 2 ** 16;

/** Returns the pixels before compression, and what is wrong with the data although it has them all. */
function inflatePixels(
  { data, rawSize, crc, hasEnd }: PngLayout,
  where: string,
): { pixels: Uint8Array; problems: string[] } {
  const compressed = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const state = hasEnd ? 'it is damaged' : 'it is truncated';
  const { buffer: inflated, engine } = inflateSome(compressed, rawSize + SPARE, where);
  if (inflated.length < rawSize) {
    const what = `its pixels take ${rawSize} bytes, but its data has ${inflated.length}`;
    throw invalidPng(where, `${state}: ${what}`);
  }
  const end = ZLIB_HEADER_SIZE + engine.bytesWritten;
  const written = end + ADLER_SIZE <= compressed.length ? compressed.readUInt32BE(end) : 0;
  const adler: Checksum = written === adler32(inflated) ? 'right' : written === 0 ? 'missing' : 'wrong';
  if (crc !== 'right' && adler !== 'right' && (crc === 'wrong' || adler === 'wrong')) {
    throw invalidPng(where, `${state}: its pixels match neither of their checksums (CRC and Adler-32)`);
  }
  const problems: string[] = [];
  if (!isZlibHeader(compressed)) problems.push('the header of the compressed pixels is wrong');
  if (crc !== 'right') problems.push(`the CRC of a chunk of pixels is ${crc}`);
  if (adler !== 'right') problems.push(`the Adler-32 checksum of the pixels is ${adler}`);
  if (inflated.length > rawSize) problems.push(`${inflated.length - rawSize} bytes follow the pixels`);
  return { pixels: inflated.subarray(0, rawSize), problems };
}

/** Whether data begins as zlib writes it: deflate, a multiple of 31, and no dictionary. Source: RFC 1950, section 2.2. */
const isZlibHeader = ([method = 0, flags = 0]: Uint8Array): boolean =>
  (method & 15) === 8 && (method * 256 + flags) % 31 === 0 && (flags & 32) === 0;

/** Inflates what is there, if the end is missing too. Leaves the checksum to the caller. */
function inflateSome(compressed: Buffer, maxOutputLength: number, where: string) {
  try {
    const deflated = compressed.subarray(ZLIB_HEADER_SIZE);
    // In one chunk, which needs no copy; a byte more, so that a full chunk is not followed by another.
    const chunkSize = maxOutputLength + 1;
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength, chunkSize, info: true } as const;
    // The types do not say what `info` returns.
    return inflateRawSync(deflated, options) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
  } catch (cause) {
    if (isRangeError(cause)) {
      throw invalidPng(where, `it is damaged: its data has more than ${maxOutputLength} bytes`, cause);
    }
    const reason = isError(cause) ? ` (${cause.message})` : '';
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
