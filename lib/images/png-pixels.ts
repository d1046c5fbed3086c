/**
 * The pixels of a PNG file after decompression: undoes the filters, and takes the samples out of their bits. Allocates the
 * samples and one row, whatever the size.
 * Source: Portable Network Graphics, third edition (W3C), sections 7.2, 8.1 and 9.2.
 */
import type { Image } from './image.js';

/** What the header of a PNG file says. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** The bits of a sample. */
  readonly depth: number;
  readonly colourType: number;
  readonly isInterlaced: boolean;
}

/** Samples per pixel in the file and in the image, and allowed depths, by colour type. */
export const COLOUR_TYPES: ReadonlyMap<
  number,
  { samples: number; channels: 1 | 3; depths: readonly number[] }
> = new Map([
  [0, { samples: 1, channels: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { samples: 3, channels: 3, depths: [8, 16] }],
  [3, { samples: 1, channels: 3, depths: [1, 2, 4, 8] }],
  [4, { samples: 2, channels: 1, depths: [8, 16] }],
  [6, { samples: 4, channels: 3, depths: [8, 16] }],
]);

/** The colour type whose samples are indices into a palette. */
const PALETTE = 3;

/** One pass of interlacing: its first column and row, its steps, and its size in pixels. */
interface Pass {
  readonly x0: number;
  readonly y0: number;
  readonly dx: number;
  readonly dy: number;
  readonly columns: number;
  readonly rows: number;
  /** The bytes of a row without the byte for its filter. */
  readonly stride: number;
}

const WHOLE = [[0, 0, 1, 1]] as const;
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Returns the passes that have pixels. */
function passesOf({ width, height, depth, colourType, isInterlaced }: PngHeader): Pass[] {
  const bitsPerPixel = depth * COLOUR_TYPES.get(colourType)!.samples;
  return (isInterlaced ? ADAM7 : WHOLE)
    .map(([x0, y0, dx, dy]) => {
      const columns = Math.max(0, Math.ceil((width - x0) / dx));
      const rows = Math.max(0, Math.ceil((height - y0) / dy));
      return { x0, y0, dx, dy, columns, rows, stride: Math.ceil((columns * bitsPerPixel) / 8) };
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** Returns the size of the pixels before compression, in bytes: each row has one byte for its filter. */
export const rawSizeOf = (header: PngHeader): number =>
  passesOf(header).reduce((sum, { rows, stride }) => sum + rows * (1 + stride), 0);

/** Returns the bytes of the samples that {@link readPixels} makes. */
export const sampleBytesOf = ({ width, height, depth, colourType }: PngHeader): number =>
  width * height * COLOUR_TYPES.get(colourType)!.channels * (depth === 16 ? 2 : 1);

/**
 * Makes an image out of the pixels. Grey stays grey; a palette becomes RGB of 8 bits, and black where it has no colour of an
 * index: the result has the first such index. Drops alpha.
 * @param raw The pixels after decompression, {@link rawSizeOf} bytes. Their filters are undone in place.
 * @param palette The content of the chunk PLTE.
 * @throws RangeError if a filter does not exist, or the palette is missing.
 */
export function readPixels(
  header: PngHeader,
  raw: Uint8Array,
  palette: Uint8Array | undefined,
): { readonly image: Image; readonly foreignIndex: number | undefined } {
  const { width, height, depth, colourType } = header;
  const { samples: perPixel, channels } = COLOUR_TYPES.get(colourType)!;
  const samples = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * channels);
  // Filters know bytes, and take the pixel before or, below 8 bits, the byte before.
  const step = Math.max(1, (perPixel * depth) / 8);
  const sampleAt = sampleReader(depth);
  if (colourType === PALETTE && !palette) throw new RangeError('its palette, PLTE, is missing');
  let foreignIndex: number | undefined;
  let start = 0;
  for (const { x0, y0, dx, dy, columns, rows, stride } of passesOf(header)) {
    for (let row = 0; row < rows; row++) {
      undoFilter(raw, start, stride, step, row === 0);
      let to = ((y0 + row * dy) * width + x0) * channels;
      for (let column = 0; column < columns; column++, to += dx * channels) {
        if (colourType === PALETTE) {
          const index = sampleAt(raw, start + 1, column);
          if (3 * index + 3 > palette!.length) foreignIndex ??= index;
          else for (let c = 0; c < 3; c++) samples[to + c] = palette![3 * index + c]!;
        } else {
          for (let c = 0; c < channels; c++)
            samples[to + c] = sampleAt(raw, start + 1, column * perPixel + c);
        }
      }
      start += 1 + stride;
    }
  }
  const max = colourType === PALETTE ? 255 : 2 ** depth - 1;
  return { image: { width, height, channels, samples, max }, foreignIndex };
}

/** Returns a function that takes the sample `index` out of the row that begins at `start`. */
function sampleReader(depth: number): (raw: Uint8Array, start: number, index: number) => number {
  if (depth === 8) return (raw, start, index) => raw[start + index]!;
  if (depth === 16) {
    return (raw, start, index) => (raw[start + 2 * index]! << 8) | raw[start + 2 * index + 1]!;
  }
  const most = 2 ** depth - 1;
  return (raw, start, index) => {
    const bit = index * depth;
    return (raw[start + (bit >> 3)]! >> (8 - depth - (bit & 7))) & most;
  };
}

/**
 * Undoes the filter of the row whose filter is at `at` and whose bytes follow. A row above is `stride` + 1 bytes before;
 * bytes above the first row of a pass, and before the first pixel, count as 0.
 */
function undoFilter(raw: Uint8Array, at: number, stride: number, step: number, isFirst: boolean): void {
  const filter = raw[at]!;
  const [start, end, pitch] = [at + 1, at + 1 + stride, 1 + stride];
  if (filter > 4) throw new RangeError(`filter ${filter} does not exist`);
  // Without a row above, Up changes nothing, and Paeth is Sub.
  if (filter === 1 || (filter === 4 && isFirst)) {
    for (let i = start + step; i < end; i++) raw[i]! += raw[i - step]!;
  } else if (filter === 2 && !isFirst) {
    for (let i = start; i < end; i++) raw[i]! += raw[i - pitch]!;
  } else if (filter === 3) {
    for (let i = start; i < end; i++) {
      const left = i < start + step ? 0 : raw[i - step]!;
      const above = isFirst ? 0 : raw[i - pitch]!;
      raw[i]! += (left + above) >> 1;
    }
  } else if (filter === 4) {
    for (let i = start; i < end; i++) {
      const above = raw[i - pitch]!;
      raw[i]! += i < start + step ? above : paeth(raw[i - step]!, above, raw[i - pitch - step]!);
    }
  }
}

/** Returns the neighbour that is nearest to left + above - corner; the first of equals. */
function paeth(left: number, above: number, corner: number): number {
  const [toLeft, toAbove, toCorner] = [
    Math.abs(above - corner),
    Math.abs(left - corner),
    Math.abs(left + above - 2 * corner),
  ];
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}
