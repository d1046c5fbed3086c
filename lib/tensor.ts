/** Dtypes, shapes and tensor data, in the terms of ONNX and NumPy. */
import { TensorError } from './errors.js';

/** Element types, by NumPy's names (`bfloat16`: by PyTorch's). */
export const DTYPES = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
] as const;

/** The dtype of a tensor: one of {@link DTYPES}. */
export type DType = (typeof DTYPES)[number];

/** The dtypes that Group Normalization is defined for. */
export const FLOAT_DTYPES = ['float32', 'float64', 'float16', 'bfloat16'] as const;
/** A dtype that Group Normalization is defined for. */
export type FloatDType = (typeof FLOAT_DTYPES)[number];

export const isFloatDType = (dtype: DType): dtype is FloatDType =>
  (FLOAT_DTYPES as readonly DType[]).includes(dtype);

/** One dimension: a size, or the name of a size that is known only at run time (`'N'`). */
export type Dim = number | string;
/** Sizes and names of dimensions, the outermost first; `[]` is a scalar's. */
export type Shape = readonly Dim[];

/** A dimension of unknown size. It is not a name: two unknown dimensions need not be the same size. */
export const UNKNOWN_DIM = '?';

/** Elements in C order. float16 and bfloat16 are held as their 16 bits (`tensor` takes a Float16Array too); bool as one byte, 0 or 1. */
export type ElementArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** The engine's Float16Array, where it has one (Node 24). */
export interface HalfArray {
  /** Tells it from the other typed arrays. */
  readonly [Symbol.toStringTag]: 'Float16Array';
  /** The memory that it is a view of. */
  readonly buffer: ArrayBufferLike;
  /** Where in the memory it begins. */
  readonly byteOffset: number;
  /** How many elements it has. */
  readonly length: number;
}

const ARRAY_OF = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

/** A tensor: `data.length` is the product of `dims` (1 for a scalar, whose `dims` is empty). */
export interface TensorData {
  /** What its elements are. */
  readonly dtype: DType;
  /** Sizes, the outermost first; empty for a scalar. */
  readonly dims: readonly number[];
  /** The elements in C order. */
  readonly data: ElementArray;
}

/** Bytes of one element. */
export const bytesPerElement = (dtype: DType): number => ARRAY_OF[dtype].BYTES_PER_ELEMENT;

/** Product of the dimensions; 1 for a scalar. */
export const elementCount = (dims: readonly number[]): number =>
  dims.reduce((product, dim) => product * dim, 1);

/**
 * `[N, 4, 8, 8]`, as messages show a shape; `?` for a dimension that a model gives neither size nor name.
 * @throws TensorError `TENSOR_INVALID` if it is not a list.
 */
export function formatShape(shape: Shape): string {
  if (Array.isArray(shape)) return `[${shape.map((dim: Dim) => (dim === '' ? '?' : dim)).join(', ')}]`;
  throw new TensorError(
    'TENSOR_INVALID',
    `a shape must be a list of sizes and names of dimensions, not ${String(shape)}`,
  );
}

/** An axis as it is counted from the start; a negative one counts from the end. */
export const fromStart = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Whether every dimension is a number. */
export const isStatic = (shape: Shape): shape is readonly number[] =>
  shape.every((dim) => typeof dim === 'number');

/**
 * Checks and makes a tensor.
 * @param data Its elements; of float16 either the bits or, where the engine has it, a Float16Array, whose memory the
 *   tensor then shares: its own `data` is the bits in any case.
 * @throws TensorError `TENSOR_INVALID` if the array's type or length contradicts `dtype` and `dims`.
 */
export function tensor(dtype: DType, dims: readonly number[], data: ElementArray | HalfArray): TensorData {
  requireDType(dtype);
  const elements = dtype === 'float16' ? halfBits(data) : data;
  const ElementType = ARRAY_OF[dtype];
  if (!(elements instanceof ElementType)) {
    throw new TensorError(
      'TENSOR_INVALID',
      `a ${dtype} tensor needs its data as ${ElementType.name}${orFloat16Array(dtype)}, not ${Object.prototype.toString.call(data).slice(8, -1)}`,
    );
  }
  requireSizes(dims);
  if (elements.length !== elementCount(dims)) {
    throw new TensorError(
      'TENSOR_INVALID',
      `shape ${formatShape(dims)} holds ${elementCount(dims)} elements, but the data has ${elements.length}`,
    );
  }
  return { dtype, dims: [...dims], data: elements };
}

const orFloat16Array = (dtype: DType): string =>
  dtype === 'float16' && 'Float16Array' in globalThis ? ' (its bits) or Float16Array' : '';

/** A Float16Array as a view of its bits; anything else as it is. */
export function halfBits(data: ElementArray | HalfArray): ElementArray {
  const { Float16Array } = globalThis as { Float16Array?: new () => HalfArray };
  if (Float16Array === undefined || !(data instanceof Float16Array)) return data as ElementArray;
  return new Uint16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length);
}

function requireDType(dtype: DType): void {
  if (Object.hasOwn(ARRAY_OF, dtype)) return;
  throw new TensorError('TENSOR_INVALID', `unknown dtype '${dtype}'; allowed: ${DTYPES.join(', ')}`);
}

/**
 * Checks a dtype and sizes, of which no tensor has been made yet.
 * @throws TensorError `TENSOR_INVALID`.
 */
export function requireTensorType(dtype: DType, dims: readonly number[]): void {
  requireDType(dtype);
  requireSizes(dims);
}

function requireSizes(dims: readonly number[]): void {
  const isList = Array.isArray(dims);
  if (isList && dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) return;
  throw new TensorError(
    'TENSOR_INVALID',
    `dimensions must be a list of integers of at least 0, not ${isList ? formatShape(dims) : String(dims)}`,
  );
}

/**
 * The same tensor, checked: a TensorData that was put together by hand may be none, or contradict itself.
 * @throws TensorError `TENSOR_INVALID`.
 */
export function checkedTensor(value: TensorData): TensorData {
  if (typeof value === 'object' && value !== null) return tensor(value.dtype, value.dims, value.data);
  throw new TensorError(
    'TENSOR_INVALID',
    `${String(value)} is not a tensor: make one with tensor(dtype, dims, data)`,
  );
}

/** A new array of `length` zeros for `dtype`. */
export const allocate = (dtype: DType, length: number): ElementArray => new ARRAY_OF[dtype](length);

/**
 * The little-endian bytes of a tensor as its elements: a view where the bytes are aligned, a copy where not. Of
 * the bytes of a bool tensor every one but 0 is true, and copied as 1.
 * @throws TensorError `TENSOR_INVALID` if the number of bytes does not fit `dtype` and `dims`.
 */
export function tensorFromBytes(dtype: DType, dims: readonly number[], bytes: Uint8Array): TensorData {
  const width = bytesPerElement(dtype);
  if (bytes.byteLength !== elementCount(dims) * width) {
    throw new TensorError(
      'TENSOR_INVALID',
      `a ${dtype} tensor of shape ${formatShape(dims)} takes ${elementCount(dims) * width} bytes, not ${bytes.byteLength}`,
    );
  }
  const usable = dtype === 'bool' ? zeroOrOne(bytes) : aligned(bytes, width);
  const data = new ARRAY_OF[dtype](
    usable.buffer as ArrayBuffer,
    usable.byteOffset,
    usable.byteLength / width,
  );
  return tensor(dtype, dims, data);
}

/** Not `bytes.slice()`: that of a Node Buffer is a view, no better aligned. */
const aligned = (bytes: Uint8Array, width: number): Uint8Array =>
  bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);

const zeroOrOne = (bytes: Uint8Array): Uint8Array =>
  bytes.some((byte) => byte > 1) ? Uint8Array.from(bytes, (byte) => Number(byte !== 0)) : bytes;

/** The bytes of a tensor's elements, without a copy. */
export const tensorBytes = ({ data }: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Sizes, axes or indices as the int64 vector that ONNX takes them in. */
export const int64Vector = (values: readonly number[]): TensorData =>
  tensor('int64', [values.length], BigInt64Array.from(values, BigInt));
