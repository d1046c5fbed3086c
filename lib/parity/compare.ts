/** Compares an output with the expected tensor: tolerances, absolute and relative differences, and units in the last place (ULP). */
import { OptionError, ParityError } from '../errors.js';
import { toFloat64Array } from '../half.js';
import {
  checkedTensor,
  type DType,
  type ElementArray,
  formatShape,
  halfBits,
  isFloatDType,
  type TensorData,
} from '../tensor.js';

/** How far an output may be off: |actual − expected| ≤ atol + rtol·|expected| for every element. */
export interface Tolerance {
  /** The relative tolerance, a factor of |expected|; at least 0. */
  readonly rtol: number;
  /** The absolute tolerance, in the unit of the elements; at least 0. */
  readonly atol: number;
}

const DEFAULTS: Partial<Record<DType, Tolerance>> = {
  float16: { rtol: 1e-3, atol: 1e-5 },
  bfloat16: { rtol: 1.6e-2, atol: 1e-5 },
  float32: { rtol: 1.3e-6, atol: 1e-5 },
  float64: { rtol: 1e-7, atol: 1e-7 },
};

/** @throws OptionError `INVALID_OPTION` if rtol or atol is not a finite number of at least 0. */
export function requireTolerance(tolerance: Tolerance): void {
  for (const name of ['rtol', 'atol'] as const) {
    const value: unknown = (tolerance as Tolerance | undefined | null)?.[name];
    if (typeof value === 'number' && value >= 0 && value < Infinity) continue;
    throw new OptionError(
      'INVALID_OPTION',
      `the tolerance's ${name} must be a finite number of at least 0, not ${String(value)}`,
    );
  }
}

/** Returns the default tolerance of `torch.testing.assert_close` for a dtype; integers and bool must be equal. */
export const defaultTolerance = (dtype: DType): Tolerance => DEFAULTS[dtype] ?? { rtol: 0, atol: 0 };

/** Returns the tolerance for a tensor: the given one, or the default; integers and bool must be equal in any case. */
export function toleranceFor(
  dtype: DType,
  { rtol, atol }: { readonly rtol?: number | undefined; readonly atol?: number | undefined },
): Tolerance {
  const standard = defaultTolerance(dtype);
  return isFloatDType(dtype) ? { rtol: rtol ?? standard.rtol, atol: atol ?? standard.atol } : standard;
}

/** How an output differs from the expected tensor. */
export interface OutputComparison {
  /** The name of the output. */
  readonly name: string;
  /** Whether every element is within the tolerance. */
  readonly passed: boolean;
  /** Largest |actual − expected|; infinite (`null` in JSON) where one of the two is NaN and the other is not. */
  readonly maxAbs: number;
  /** Largest |actual − expected| / |expected| where expected is not 0; `null` in JSON if it is not finite. */
  readonly maxRel: number;
  /** Largest distance in units in the last place of the output's dtype; `null` in JSON if it is not finite. */
  readonly maxUlp: number;
  /** Index of the element that exceeds its tolerance most, or comes nearest to it; `null` if there are no elements. */
  readonly worstIndex: readonly number[] | null;
  /** The actual value of that element, as float64; `null` if there are no elements. `null` in JSON if it is not finite. */
  readonly worstActual: number | null;
  /** The expected value of that element, as float64; `null` as {@link worstActual}. */
  readonly worstExpected: number | null;
  /**
   * Largest |actual − expected| / (atol + rtol·|expected|): above 1 where an element is beyond the tolerance. Unlike
   * ULP, it stays small for elements near 0. `null` in JSON if it is not finite.
   */
  readonly toleranceUsed: number;
  /** The number of elements beyond the tolerance. */
  readonly mismatched: number;
  /** The number of elements. */
  readonly elements: number;
  /** The relative tolerance of this comparison. */
  readonly rtol: number;
  /** The absolute tolerance of this comparison. */
  readonly atol: number;
  /** Largest |actual − truth|, where the truth, the same module in float64, is known; `null` in JSON if it is not finite. */
  readonly distanceToTruth?: number;
  /** Largest |expected − truth|: how far PyTorch itself is from float64; `null` in JSON if it is not finite. */
  readonly referenceDistanceToTruth?: number;
}

/**
 * Compares an output with the expected tensor, of any dtype and shape. It passes if |actual − expected| ≤ atol +
 * rtol·|expected| for every element, and NaN equals NaN, as in `torch.testing.assert_close(equal_nan=True)`.
 * @param name The output's name, for messages and the result.
 * @param truth The same output in float64, of the same shape, for the distances from float64.
 * @throws ParityError `OUTPUT_SHAPE` if dtypes or shapes differ.
 * @throws TensorError `TENSOR_INVALID` if a tensor contradicts itself; OptionError `INVALID_OPTION` if rtol or atol is
 *   not a finite number of at least 0.
 */
export function compareTensors(
  name: string,
  actual: TensorData,
  expected: TensorData,
  tolerance: Tolerance,
  truth?: TensorData,
): OutputComparison {
  requireSameType(name, checkedTensor(actual), checkedTensor(expected));
  requireTolerance(tolerance);
  const [a, e] = [toFloat64Array(actual), toFloat64Array(expected)];
  const extremes = measure(differenceOf(actual, expected, a, e), e, tolerance);
  return {
    name,
    passed: extremes.mismatched === 0,
    maxAbs: extremes.maxAbs,
    maxRel: extremes.maxRel,
    maxUlp: ulpDistance(actual, expected),
    worstIndex: extremes.worst < 0 ? null : unravel(extremes.worst, expected.dims),
    worstActual: a[extremes.worst] ?? null,
    worstExpected: e[extremes.worst] ?? null,
    toleranceUsed: extremes.toleranceUsed,
    mismatched: extremes.mismatched,
    elements: e.length,
    rtol: tolerance.rtol,
    atol: tolerance.atol,
    ...(truth && distances(name, a, e, expected, truth)),
  };
}

/** Returns the function for |actual − expected| at one index. 64-bit integers may differ where their float64 do not. */
function differenceOf(
  { dtype, data: actual }: TensorData,
  { data: expected }: TensorData,
  a: Float64Array,
  e: Float64Array,
): (index: number) => number {
  return dtype === 'int64' || dtype === 'uint64'
    ? (i) => integerDistance(actual[i]!, expected[i]!)
    : (i) => distance(a[i]!, e[i]!);
}

function measure(differenceAt: (index: number) => number, expected: Float64Array, { rtol, atol }: Tolerance) {
  const result = { maxAbs: 0, maxRel: 0, worst: -1, mismatched: 0, toleranceUsed: 0 };
  let worstExcess = -Infinity;
  for (let i = 0; i < expected.length; i++) {
    const size = Math.abs(expected[i]!);
    const difference = differenceAt(i);
    // An infinite expected value allows no difference: rtol·∞ would allow every finite one.
    const allowed = size < Infinity ? atol + rtol * size : atol;
    const excess = difference - allowed;
    if (excess > 0) result.mismatched += 1;
    if (excess > worstExcess || result.worst < 0) {
      worstExcess = excess;
      result.worst = i;
    }
    result.maxAbs = Math.max(result.maxAbs, difference);
    if (difference > 0) result.toleranceUsed = Math.max(result.toleranceUsed, difference / allowed);
    if (size > 0 && difference > 0)
      result.maxRel = Math.max(result.maxRel, difference / (size < Infinity ? size : 1));
  }
  return result;
}

/** Returns |a − b|: 0 for two NaNs and for equal infinities, infinite if only one is NaN. */
function distance(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Infinity : difference;
}

function distances(name: string, a: Float64Array, e: Float64Array, expected: TensorData, truth: TensorData) {
  if (formatShape(truth.dims) !== formatShape(expected.dims)) {
    throw new ParityError(
      'OUTPUT_SHAPE',
      `truth.${name} has shape ${formatShape(truth.dims)}, but output.${name} ${formatShape(expected.dims)}`,
    );
  }
  const t = toFloat64Array(truth);
  return { distanceToTruth: largest(a, t), referenceDistanceToTruth: largest(e, t) };
}

function largest(values: Float64Array, truth: Float64Array): number {
  let max = 0;
  for (let i = 0; i < truth.length; i++) max = Math.max(max, distance(values[i]!, truth[i]!));
  return max;
}

function requireSameType(name: string, actual: TensorData, expected: TensorData): void {
  const [is, must] = [actual, expected].map(({ dtype, dims }) => `${dtype} ${formatShape(dims)}`);
  if (is === must) return;
  throw new ParityError('OUTPUT_SHAPE', `output '${name}' is ${is} but ${must} was expected`);
}

function unravel(flat: number, dims: readonly number[]): number[] {
  const index: number[] = [];
  for (const dim of [...dims].reverse()) {
    index.unshift(flat % dim);
    flat = Math.floor(flat / dim);
  }
  return index;
}

/**
 * Returns the largest distance between the elements of two tensors of the same dtype and shape, in ULP: how many floats
 * of the dtype lie between. NaN is 0 from NaN and infinitely far from numbers; −0 equals 0. For integers and bool it is
 * the difference.
 */
export function ulpDistance(actual: TensorData, expected: TensorData): number {
  const distanceAt = ulpDistanceOf(actual.dtype, halfBits(actual.data), halfBits(expected.data));
  let max = 0;
  for (let i = 0; i < actual.data.length; i++) max = Math.max(max, distanceAt(i));
  return max;
}

/** Returns the function for the distance in ULP at one index. */
function ulpDistanceOf(dtype: DType, a: ElementArray, b: ElementArray): (index: number) => number {
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

/** Returns |a − b|; subtracts 64-bit integers before they are rounded to a number. */
const integerDistance = (a: number | bigint, b: number | bigint): number =>
  Math.abs(typeof a === 'bigint' && typeof b === 'bigint' ? Number(a - b) : Number(a) - Number(b));

/** The sign bit and the bits of infinity. */
interface Format {
  readonly sign: number;
  readonly infinity: number;
}
const FLOAT32: Format = { sign: 0x8000_0000, infinity: 0x7f80_0000 };
const FLOAT16: Format = { sign: 0x8000, infinity: 0x7c00 };
const BFLOAT16: Format = { sign: 0x8000, infinity: 0x7f80 };

/** Counts floats by their bits: floats of one sign have the same order as their bits. */
function distanceOfBits(a: number, b: number, { sign, infinity }: Format): number {
  const [sizeA, sizeB] = [a % sign, b % sign];
  if (sizeA > infinity || sizeB > infinity) return sizeA > infinity && sizeB > infinity ? 0 : Infinity;
  return a >= sign === b >= sign ? Math.abs(sizeA - sizeB) : sizeA + sizeB;
}

const pair = new Float64Array(2);
const words = new Uint32Array(pair.buffer);

/** The same for float64 in two words of 32 bits; exact up to 2⁵³ units. */
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
