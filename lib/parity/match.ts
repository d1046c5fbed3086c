/** Compares values of all kinds that hold a tensor, and says in words how they differ: what the chai plugin prints. */
import { typeName } from '../arrays.js';
import { TensorError } from '../errors.js';
import { castTensor, toFloat64Array } from '../half.js';
import { printable } from '../printable.js';
import type { Session } from '../runtime/core/contract.js';
import { toOwnTensor } from '../runtime/core/tensors.js';
import {
  checkedTensor,
  type DType,
  elementCount,
  type ElementArray,
  formatShape,
  halfBits,
  type HalfArray,
  isFloatDType,
  tensor,
  type TensorData,
} from '../tensor.js';
import {
  compareTensors,
  type OutputComparison,
  requireTolerance,
  type Tolerance,
  toleranceFor,
  ulpDistance,
} from './compare.js';
import { describeDifference, formatElement, formatTolerance } from './report.js';

/** How far values may be off. */
export interface MatchOptions {
  /** The relative tolerance for floats. Default: that of `torch.testing.assert_close` for the dtype. */
  readonly rtol?: number | undefined;
  /** The absolute tolerance for floats. Default: that of `torch.testing.assert_close` for the dtype. */
  readonly atol?: number | undefined;
  /**
   * Whether the dtypes must be the same. Default true. With `false`, values of different dtypes are compared in float64,
   * by default with the larger tolerance of the two dtypes.
   */
  readonly checkDtype?: boolean | undefined;
}

/** The result of a match. */
export interface Match {
  /** Whether the dtypes and shapes are the same, and every element is within the tolerance. */
  readonly passed: boolean;
  /** The type of the actual value: `float32 [2, 3]`. */
  readonly type: string;
  /** What differs, or that all elements are within the tolerance; some lines. */
  readonly description: string;
}

/**
 * Compares two values. Each is a tensor of this library, a tensor of onnxruntime, or a typed array.
 * @throws TensorError `TENSOR_INVALID` if a value is not a tensor; SessionError `INPUT_DTYPE` for a tensor of onnxruntime
 *   that is not on the CPU; OptionError `INVALID_OPTION` if rtol or atol is not a finite number of at least 0.
 */
export function matchValues(actual: unknown, expected: unknown, options: MatchOptions): Match {
  return matchTensors(...asTensors(readValue('actual', actual), readValue('expected', expected)), options);
}

/**
 * Runs a session once and compares every expected output.
 * @returns A line or some for each output that differs.
 * @throws What `session.run` throws, and what {@link matchValues} throws.
 */
export async function differencesOfRun(
  session: Session,
  expectation: Readonly<Record<'inputs' | 'outputs', ReadonlyMap<string, TensorData>>>,
  options: MatchOptions,
): Promise<string[]> {
  const { inputs, outputs } = expectation;
  const actual = await session.run(Object.fromEntries(inputs), { fetches: [...outputs.keys()] });
  return [...outputs].flatMap(([name, expected]) => {
    const { passed, type, description } = matchValues(actual[name], expected, options);
    return passed ? [] : [`output '${printable(name)}', ${type}: ${description}`];
  });
}

/** The dtype of a typed array that stands alone. */
const DTYPE_OF: Readonly<Record<string, DType>> = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  Float16Array: 'float16',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
  Int16Array: 'int16',
  Uint16Array: 'uint16',
  Int32Array: 'int32',
  Uint32Array: 'uint32',
  BigInt64Array: 'int64',
  BigUint64Array: 'uint64',
};

type TypedArray = ElementArray | HalfArray;

const isTypedArray = (value: TensorData | TypedArray): value is TypedArray => ArrayBuffer.isView(value);

function readValue(which: 'actual' | 'expected', value: unknown): TensorData | TypedArray {
  if (ArrayBuffer.isView(value) && Object.hasOwn(DTYPE_OF, typeName(value))) return value as TypedArray;
  const own = toOwnTensor(value as TensorData, `the ${which} value`);
  if (typeof own !== 'object' || own === null || !('dtype' in own)) {
    throw new TensorError(
      'TENSOR_INVALID',
      `the ${which} value is not a tensor but ${typeName(value)}: ` +
        'give a tensor of this library or of onnxruntime, or a typed array such as Float32Array.of(1, 2)',
    );
  }
  if (own.dtype !== 'string') return checkedTensor(own);
  throw new TensorError(
    'TENSOR_INVALID',
    `the ${which} value is a tensor of texts, and only numbers have tolerances: compare its data with deep.equal`,
  );
}

function asTensors(actual: TensorData | TypedArray, expected: TensorData | TypedArray) {
  return [arrayTensor(actual, expected), arrayTensor(expected, actual)] as const;
}

/**
 * Makes a tensor of a typed array: with the shape of the other value if that has as many elements, and with its dtype
 * if that is held in such an array, as float16 is in a Uint16Array.
 */
function arrayTensor(value: TensorData | TypedArray, other: TensorData | TypedArray): TensorData {
  if (!isTypedArray(value)) return value;
  const name = typeName(value);
  if (isTypedArray(other)) return tensor(DTYPE_OF[name]!, [value.length], value);
  const dims = elementCount(other.dims) === value.length ? other.dims : [value.length];
  return tensor(typeName(other.data) === name ? other.dtype : DTYPE_OF[name]!, dims, value);
}

function matchTensors(
  actual: TensorData,
  expected: TensorData,
  { rtol, atol, checkDtype = true }: MatchOptions,
): Match {
  const tolerance = commonTolerance(actual.dtype, expected.dtype, { rtol, atol });
  requireTolerance(tolerance);
  const type = typeOf(actual);
  const differ = (...lines: string[]): Match => ({ passed: false, type, description: lines.join('\n  ') });
  if (formatShape(actual.dims) !== formatShape(expected.dims)) {
    const same = actual.dtype === expected.dtype ? '' : 'dtype and ';
    return differ(`the ${same}shape must be ${same ? typeOf(expected) : formatShape(expected.dims)}`);
  }
  const comparison = compareAcrossDtypes('', actual, expected, tolerance);
  const details = comparison.passed ? [agreement(comparison)] : mismatch(actual, expected, comparison);
  if (actual.dtype !== expected.dtype && checkDtype)
    return differ(`the dtype must be ${expected.dtype}`, ...details);
  return comparison.passed ? { passed: true, type, description: details[0]! } : differ(...details);
}

const typeOf = ({ dtype, dims }: TensorData): string => `${dtype} ${formatShape(dims)}`;

const limits = ({ rtol, atol }: Tolerance): string =>
  `(rtol ${formatTolerance(rtol)}, atol ${formatTolerance(atol)})`;

function agreement({ elements, rtol, atol }: OutputComparison): string {
  if (elements === 0) return 'there are no elements';
  const all = elements === 1 ? 'the only element is' : `all ${elements} elements are`;
  return `${all} within the tolerance ${limits({ rtol, atol })}`;
}

/** Returns the larger tolerance of two dtypes, as PyTorch does. */
export function commonTolerance(a: DType, b: DType, given: Partial<MatchOptions>): Tolerance {
  const [one, other] = [toleranceFor(a, given), toleranceFor(b, given)];
  return { rtol: larger(one.rtol, other.rtol), atol: larger(one.atol, other.atol) };
}

/** Keeps a wrong option, which Math.max would make a number, for {@link requireTolerance} to refuse. */
const larger = (a: number, b: number): number => (a >= b ? a : b);

/** Compares tensors of one dtype in that dtype, and others in float64. */
export function compareAcrossDtypes(
  name: string,
  actual: TensorData,
  expected: TensorData,
  tolerance: Tolerance,
): OutputComparison {
  if (actual.dtype === expected.dtype) return compareTensors(name, actual, expected, tolerance);
  return compareTensors(name, inFloat64(actual), inFloat64(expected), tolerance);
}

const inFloat64 = (value: TensorData): TensorData => tensor('float64', value.dims, toFloat64Array(value));

function mismatch(actual: TensorData, expected: TensorData, comparison: OutputComparison): string[] {
  const { mismatched, elements, worstIndex } = comparison;
  const flat = worstIndex!.reduce((index, at, axis) => index * actual.dims[axis]! + at, 0);
  const [is, must] = [elementAt(actual, flat), elementAt(expected, flat)];
  return [
    `${mismatched} of ${elements} ${elements === 1 ? 'element' : 'elements'} ` +
      `${mismatched === 1 ? 'is' : 'are'} beyond the tolerance ${limits(comparison)}`,
    `the worst, at index ${formatShape(worstIndex!)}, is ${format(is)}, expected ${format(must)}${ulps(is, must)}`,
    describeDifference(comparison),
  ];
}

/** Returns one element as a scalar. */
const elementAt = ({ dtype, data }: TensorData, index: number): TensorData =>
  tensor(dtype, [], halfBits(data).slice(index, index + 1));

/** Writes a scalar; integers of 64 bits with all their digits. */
function format(scalar: TensorData): string {
  const [element] = scalar.data;
  return typeof element === 'bigint' ? String(element) : formatElement(toFloat64Array(scalar)[0]!);
}

/** Returns the distance of two scalars in units in the last place of the actual dtype, where floats have a distance. */
function ulps(actual: TensorData, expected: TensorData): string {
  if (!isFloatDType(actual.dtype) || !isFloatDType(expected.dtype)) return '';
  const distance = ulpDistance(actual, castTensor(expected, actual.dtype));
  return Number.isFinite(distance) ? `: ${distance} ULP apart` : '';
}
