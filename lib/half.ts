/**
 * Converts numbers to float16 (IEEE 754 binary16) and bfloat16 and back, and tensors between dtypes. Rounds to
 * nearest, ties to even; NaN stays NaN, overflow gives infinity, subnormals are kept.
 */
import { TensorError } from './errors.js';
import {
  allocate,
  checkedTensor,
  elementCount,
  type ElementSource,
  isFloatDType,
  tensor,
  type DType,
  type FloatDType,
  type TensorData,
} from './tensor.js';

const float32 = new Float32Array(1);
const bits32 = new Uint32Array(float32.buffer);

/** Returns the 16 bits of the bfloat16 nearest to `value`, as an integer from 0 to 65535; ties go to even. */
export function toBfloat16Bits(value: number): number {
  float32[0] = roundToOdd32(value);
  const bits = bits32[0]!;
  if (Number.isNaN(value)) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Returns the number that a bfloat16 stands for. @param bits The bfloat16 as an integer from 0 to 65535. */
export function fromBfloat16Bits(bits: number): number {
  bits32[0] = bits << 16;
  return float32[0]!;
}

/**
 * Returns the 16 bits of the float16 (IEEE 754 binary16) nearest to `value`, as an integer from 0 to 65535; ties go to
 * even.
 */
export function toFloat16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // Below 2^-14 floats are 2^-24 apart, whatever their exponent.
  const exponent = Math.max(Math.floor(Math.log2(size || 1)), -14);
  const steps = roundHalfToEven(size * 2 ** (10 - exponent));
  // A carry out of the ten fraction bits adds 1 to the exponent; so does a subnormal that becomes normal.
  return sign | (size === 0 ? 0 : ((exponent + 14) << 10) + steps);
}

/** Returns the number that a float16 stands for. @param bits The float16 as an integer from 0 to 65535. */
export function fromFloat16Bits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * Returns the elements of a tensor of any dtype as float64, in C order. Exact for all dtypes, but for int64 and uint64
 * elements beyond 2^53. A float64 tensor's own array is returned as it is.
 * @throws TensorError `TENSOR_INVALID` if `source` is not a tensor.
 */
export function toFloat64Array(source: TensorData): Float64Array {
  const { dtype, data } = checkedTensor(source);
  if (dtype === 'float64') return data;
  if (dtype === 'float16') return convertEach(data, fromFloat16Bits);
  if (dtype === 'bfloat16') return convertEach(data, fromBfloat16Bits);
  if (dtype === 'int64' || dtype === 'uint64') return convertEach(data, Number);
  return new Float64Array(data);
}

/** Converts in a loop, because `Float64Array.from` with a function takes ten times as long. */
function convertEach<T>(from: ArrayLike<T>, convert: (element: T) => number): Float64Array {
  const result = new Float64Array(from.length);
  for (let i = 0; i < result.length; i++) result[i] = convert(from[i]!);
  return result;
}

/**
 * Converts a float tensor of any shape to another float dtype; each element is rounded once, to nearest even. A tensor
 * that already has the dtype is returned as it is.
 * @throws TensorError `TENSOR_INVALID` if either dtype is not a float, or `source` is not a tensor.
 */
export function castTensor<D extends FloatDType>(source: TensorData, dtype: D): TensorData<D> {
  if (source?.dtype === dtype) return source as TensorData<D>;
  checkedTensor(source);
  if (!isFloatDType(source.dtype) || !isFloatDType(dtype)) {
    throw new TensorError('TENSOR_INVALID', `cannot cast ${source.dtype} to ${dtype}: both must be floats`);
  }
  const byBits = castBits(source, dtype);
  if (byBits) return tensor<D>(dtype, source.dims, byBits as ElementSource<D>);
  const wide = source.dtype === 'float32' ? source.data : toFloat64Array(source);
  const result = allocate(dtype, wide.length);
  const convert = CONVERT[dtype];
  for (let i = 0; i < wide.length; i++) result[i] = convert(wide[i]!);
  return tensor<D>(dtype, source.dims, result);
}

/**
 * Converts between float32 and 16 bits without arithmetic on numbers, ten times as fast: the weights of a network are a
 * billion elements. Returns `undefined` for other dtypes.
 */
function castBits(source: TensorData, dtype: FloatDType): Float32Array | Uint16Array | undefined {
  if (source.dtype === 'float32' && (dtype === 'float16' || dtype === 'bfloat16')) {
    const { buffer, byteOffset, length } = source.data;
    const from = new Int32Array(buffer, byteOffset, length);
    const to = new Uint16Array(length);
    if (dtype === 'float16') for (let i = 0; i < length; i++) to[i] = float32ToFloat16Bits(from[i]!);
    else for (let i = 0; i < length; i++) to[i] = float32ToBfloat16Bits(from[i]!);
    return to;
  }
  if (dtype === 'float32' && (source.dtype === 'float16' || source.dtype === 'bfloat16')) {
    const from = source.data;
    const to = new Uint32Array(from.length);
    const words = source.dtype === 'float16' ? float16Words() : undefined;
    for (let i = 0; i < to.length; i++) to[i] = words ? words[from[i]!]! : from[i]! << 16;
    return new Float32Array(to.buffer);
  }
  return undefined;
}

/** {@link toFloat16Bits} of a float32, given its bits. */
function float32ToFloat16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return 0x7e00;
  if (size >= 0x47800000) return sign | 0x7c00;
  // From 2^-14 on: 13 bits of the fraction go, and the exponent loses 112 of its bias.
  if (size >= 0x38800000) return sign | (roundBits(size, 13) - 0x1c000);
  // Below, floats are 2^-24 apart; half of that rounds to zero.
  const shift = 126 - (size >>> 23);
  return shift > 24 ? sign : sign | roundBits((size & 0x7fffff) | 0x800000, shift);
}

/** {@link toBfloat16Bits} of a float32, given its bits. */
const float32ToBfloat16Bits = (bits: number): number =>
  (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : roundBits(bits, 16) & 0xffff;

/** Shifts `count` bits out, 1 to 24, and rounds to nearest, ties to even. */
const roundBits = (bits: number, count: number): number =>
  (bits + (1 << (count - 1)) - 1 + ((bits >>> count) & 1)) >>> count;

/** The float32 bits of each float16; made when they are needed first. */
let float16Table: Uint32Array | undefined;

const float16Words = (): Uint32Array =>
  (float16Table ??= new Uint32Array(
    Float32Array.from({ length: 2 ** 16 }, (_, bits) => fromFloat16Bits(bits)).buffer,
  ));

/**
 * Makes a tensor whose elements are all `value`, rounded to `dtype` as by {@link castTensor}. For an integer dtype
 * `value` must be an integer, for bool 0 or 1.
 */
export function filledTensor(dtype: DType, dims: readonly number[], value: number): TensorData {
  const length = elementCount(dims);
  if (isFloatDType(dtype)) {
    return castTensor(tensor('float64', dims, new Float64Array(length).fill(value)), dtype);
  }
  const data = allocate(dtype, length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(BigInt(value));
  else data.fill(value);
  return tensor(dtype, dims, data);
}

const CONVERT: Record<FloatDType, (value: number) => number> = {
  float32: (value) => value,
  float64: (value) => value,
  float16: toFloat16Bits,
  bfloat16: toBfloat16Bits,
};

function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** Rounds float64 to float32 so that a second rounding, to bfloat16, gives the same as a single rounding would. */
function roundToOdd32(value: number): number {
  const nearest = Math.fround(value);
  if (nearest === value || !Number.isFinite(nearest)) return nearest;
  float32[0] = nearest;
  const bits = bits32[0]!;
  if (bits & 1) return nearest;
  // `nearest` is even and inexact: take its neighbour on the other side of `value`.
  const away = Math.abs(nearest) < Math.abs(value);
  bits32[0] = away ? bits + 1 : bits - 1;
  return float32[0];
}
