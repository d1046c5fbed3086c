/** PNG files written by hand, of every kind that there is: samples as they are, without filters. */
import { crc32, deflateSync } from 'node:zlib';

export interface PngSample {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  readonly colourType: number;
  /** Row by row, channel by channel within a pixel. */
  readonly samples: readonly number[];
  readonly palette?: readonly number[];
  /** The tRNS chunk. */
  readonly transparency?: readonly number[];
  readonly interlaced?: boolean;
}

export const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** Samples a pixel. */
const SAMPLES = new Map([
  [0, 1],
  [2, 3],
  [3, 1],
  [4, 2],
  [6, 4],
]);

/** Adam7: the first column and row of each pass and the steps from there. Source: the PNG specification, 8.1. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export function makePng(sample: PngSample): Uint8Array {
  const { width, height, depth, colourType, palette, transparency, interlaced } = sample;
  const passes = interlaced ? PASSES : [[0, 0, 1, 1] as const];
  return concat([
    SIGNATURE,
    header(width, height, depth, colourType, Number(interlaced ?? false)),
    ...(palette ? [chunk('PLTE', Uint8Array.from(palette))] : []),
    ...(transparency ? [chunk('tRNS', Uint8Array.from(transparency))] : []),
    chunk('IDAT', deflateSync(Uint8Array.from(passes.flatMap((pass) => packPass(sample, pass))))),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

export const header = (
  width: number,
  height: number,
  depth = 8,
  colourType = 0,
  interlace = 0,
): Uint8Array => {
  const data = new DataView(new ArrayBuffer(13));
  data.setUint32(0, width);
  data.setUint32(4, height);
  [depth, colourType, 0, 0, interlace].forEach((value, i) => data.setUint8(8 + i, value));
  return chunk('IHDR', new Uint8Array(data.buffer));
};

export function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

export const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** The rows of one pass: filter 0, then the samples of `depth` bits each, from the highest bit on. */
function packPass(sample: PngSample, [x0, y0, dx, dy]: readonly [number, number, number, number]): number[] {
  const { width, height, depth, colourType, samples } = sample;
  const each = SAMPLES.get(colourType)!;
  const bytes: number[] = [];
  if (x0 >= width) return bytes;
  for (let y = y0; y < height; y += dy) {
    let bits = '';
    for (let x = x0; x < width; x += dx) {
      for (const value of samples.slice((y * width + x) * each, (y * width + x + 1) * each)) {
        bits += value.toString(2).padStart(depth, '0');
      }
    }
    const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0');
    bytes.push(0, ...padded.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2)));
  }
  return bytes;
}
