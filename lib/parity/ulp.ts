/** Distance in units in the last place: how many floats of the dtype lie between two. */
import { halfBits, type DType, type ElementArray, type TensorData } from '../tensor.js';

/**
 * The largest distance between two tensors of the same dtype and shape, element by element.
 * NaN against NaN is 0, against a number infinite; −0 and 0 are the same. Integers are counted as they are.
 */
export function ulpDistance(actual: TensorData, expected: TensorData): number {
  const distance = distanceOf(actual.dtype, halfBits(actual.data), halfBits(expected.data));
  let max = 0;
  for (let i = 0; i < actual.data.length; i++) max = Math.max(max, distance(i));
  return max;
}

/** How the distance of the elements at one place is found. */
function distanceOf(dtype: DType, a: ElementArray, b: ElementArray): (index: number) => number {
  switch (dtype) {
    case 'float64':
      return (i) => distance64(a[i] as number, b[i] as number);
    case 'float32': {
      const [bitsA, bitsB] = [bits32(a), bits32(b)];
      return (i) => distanceOfBits(bitsA[i]!, bitsB[i]!, FLOAT32);
    }
    case 'float16':
      return (i) => distanceOfBits(a[i] as number, b[i] as number, FLOAT16);
    case 'bfloat16':
      return (i) => distanceOfBits(a[i] as number, b[i] as number, BFLOAT16);
    default:
      return (i) => integerDistance(a[i]!, b[i]!);
  }
}

/** |a − b|, of 64-bit integers before they are rounded to numbers. */
export const integerDistance = (a: number | bigint, b: number | bigint): number =>
  Math.abs(typeof a === 'bigint' && typeof b === 'bigint' ? Number(a - b) : Number(a) - Number(b));

/** The sign bit and the bits of infinity. */
interface Format {
  readonly sign: number;
  readonly infinity: number;
}
const FLOAT32: Format = { sign: 0x8000_0000, infinity: 0x7f80_0000 };
const FLOAT16: Format = { sign: 0x8000, infinity: 0x7c00 };
const BFLOAT16: Format = { sign: 0x8000, infinity: 0x7f80 };

/** Floats of one sign are in the order of their bits. */
function distanceOfBits(a: number, b: number, { sign, infinity }: Format): number {
  const [sizeA, sizeB] = [a % sign, b % sign];
  if (sizeA > infinity || sizeB > infinity) return sizeA > infinity && sizeB > infinity ? 0 : Infinity;
  return a >= sign === b >= sign ? Math.abs(sizeA - sizeB) : sizeA + sizeB;
}

const pair = new Float64Array(2);
const words = new Uint32Array(pair.buffer);

/** The same in two words of 32 bits: exact up to 2⁵³ units, which is all that anyone will read off. */
function distance64(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : Infinity;
  pair[0] = Math.abs(a);
  pair[1] = Math.abs(b);
  const [lowA, highA, lowB, highB] = words as unknown as [number, number, number, number];
  if (a < 0 === b < 0 || a === 0 || b === 0) return Math.abs((highA - highB) * 2 ** 32 + (lowA - lowB));
  return (highA + highB) * 2 ** 32 + (lowA + lowB);
}

const bits32 = (data: ElementArray): Uint32Array =>
  new Uint32Array(data.buffer, data.byteOffset, data.length);
