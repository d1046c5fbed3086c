/** Dtypes, shapes and tensors, in the terms of ONNX and NumPy: the words that all modules share. */
import { typeName } from './arrays.js';
import { TensorError } from './errors.js';

/** Every dtype that this library holds, by NumPy's names (`bfloat16`: by PyTorch's). */
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

/**
 * The dtype of a tensor: one of {@link DTYPES}.
 * @useDeclaredType
 */
export type DType = (typeof DTYPES)[number];

/** The dtypes that Group Normalization is defined for. */
export const FLOAT_DTYPES = ['float32', 'float64', 'float16', 'bfloat16'] as const;
/**
 * A dtype that Group Normalization is defined for.
 * @useDeclaredType
 */
export type FloatDType = (typeof FLOAT_DTYPES)[number];

/** Whether a dtype is one of {@link FLOAT_DTYPES}. */
export const isFloatDType = (dtype: string | undefined): dtype is FloatDType =>
  (FLOAT_DTYPES as readonly (string | undefined)[]).includes(dtype);

/** One dimension of a shape: a size, or the name of a size that is known only at run time (`'N'`). */
export type Dim = number | string;
/**
 * The shape that a model or a graph declares for a value, the outermost dimension first: sizes, and names of sizes that
 * only a run knows. `[]` for a scalar. A tensor has `dims` instead, as ONNX's TensorProto: all of them are sizes.
 */
export type Shape = readonly Dim[];

/** A dimension of unknown size. It is not a name: two unknown dimensions need not be the same size. */
export const UNKNOWN_DIM = '?';

/** The array that holds the elements of each dtype. */
interface ElementArrays {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}

/**
 * A tensor's elements in C order: `ElementArray<'float32'>` is a Float32Array, `ElementArray` the array of any dtype.
 * float16 and bfloat16 elements are held as their 16 bits in a Uint16Array (`tensor` takes a Float16Array too), bool
 * elements as one byte, 0 or 1.
 */
export type ElementArray<D extends DType = DType> = ElementArrays[D];

/** JavaScript's own Float16Array, where the engine has it (Node 24). */
export interface HalfArray {
  /** Tells this array type from the others. */
  readonly [Symbol.toStringTag]: 'Float16Array';
  /** The memory that the array views. */
  readonly buffer: ArrayBufferLike;
  /** Where in that memory the array begins, in bytes. */
  readonly byteOffset: number;
  /** The number of elements. */
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

/** The arrays that `tensor` takes for a dtype. */
export type ElementSource<D extends DType = DType> =
  ElementArray<D> | ('float16' extends D ? HalfArray : never);

/** A tensor of one dtype: a member of {@link TensorData}, under whose name TypeScript shows and declares it. */
export interface TensorOf<D extends DType> {
  /** The type of the elements. */
  readonly dtype: D;
  /** The size of each dimension, the outermost first; empty for a scalar. */
  readonly dims: readonly number[];
  /** The elements in C order. */
  readonly data: ElementArray<D>;
}

/**
 * A tensor. `TensorData<'float32'>` has its elements in a Float32Array; `TensorData` is a tensor of any dtype, and a
 * comparison of its `dtype` tells TypeScript the type of `data`. `data.length` is the product of `dims`: 1 for a scalar,
 * whose `dims` is empty.
 */
export type TensorData<D extends DType = DType> = D extends DType ? TensorOf<D> : never;

/** A tensor of texts. `data.length` is the product of `dims`. */
export interface StringTensor {
  /** Tells this tensor from tensors of numbers. */
  readonly dtype: 'string';
  /** The size of each dimension, the outermost first; empty for a scalar. */
  readonly dims: readonly number[];
  /** The texts in C order. */
  readonly data: readonly string[];
}

/** A tensor of numbers or of texts. */
export type AnyTensor = TensorData | StringTensor;

/** Whether a tensor holds texts. */
export const isStringTensor = (value: AnyTensor): value is StringTensor => value.dtype === 'string';

/** Returns the size of one element in bytes. */
export const bytesPerElement = (dtype: DType): number => ARRAY_OF[dtype].BYTES_PER_ELEMENT;

/**
 * Returns the number of elements of a tensor: the product of its dimensions, 1 for a scalar; `Infinity` for a product that
 * is not exact, above 2^53, so that it never passes for a size. Every product of sizes is made here.
 */
export function elementCount(dims: readonly number[]): number {
  if (dims.includes(0)) return 0;
  const product = dims.reduce((total, dim) => total * dim, 1);
  return Number.isSafeInteger(product) ? product : Infinity;
}

/**
 * Formats a shape for messages: `[N, 4, 8, 8]`; `?` stands for a dimension to which a model gives neither size nor
 * name.
 * @throws TensorError `TENSOR_INVALID` if `shape` is not a list.
 */
export function formatShape(shape: Shape): string {
  if (Array.isArray(shape)) return `[${shape.map((dim: Dim) => (dim === '' ? '?' : dim)).join(', ')}]`;
  throw new TensorError(
    'TENSOR_INVALID',
    `a shape must be a list of sizes and names of dimensions, not ${String(shape)}`,
  );
}

/** Returns an axis counted from the start; a negative axis counts from the end. */
export const fromStart = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Whether every dimension is a size, not a name. */
export const isStatic = (shape: Shape): shape is readonly number[] =>
  shape.every((dim) => typeof dim === 'number');

/**
 * Makes a tensor out of its dtype, sizes and elements, and checks that they agree. The elements are not copied.
 * @param dims The size of each dimension, the outermost first; `[]` for a scalar.
 * @param data The elements in C order. For float16 either the 16 bits of each or, where the engine has it, a
 *   Float16Array, whose memory the tensor shares; the tensor's own `data` is the bits in either case.
 *   Texts (`string`) are an array of strings.
 * @throws TensorError `TENSOR_INVALID` if the array's type or length contradicts `dtype` and `dims`.
 */
export function tensor(dtype: 'string', dims: readonly number[], data: readonly string[]): StringTensor;
export function tensor<D extends DType>(
  dtype: D,
  dims: readonly number[],
  data: ElementSource<D>,
): TensorData<D>;
export function tensor(
  dtype: DType | 'string',
  dims: readonly number[],
  data: ElementSource | readonly string[],
): AnyTensor {
  if (dtype === 'string') return stringTensor(dims, data as readonly string[]);
  return numberTensor(dtype, dims, data as ElementSource);
}

function stringTensor(dims: readonly number[], data: readonly string[]): StringTensor {
  if (!Array.isArray(data) || !data.every((text) => typeof text === 'string')) {
    throw new TensorError('TENSOR_INVALID', 'a string tensor needs its data as an array of strings');
  }
  requireSizes(dims);
  requireCount(dims, data.length);
  return { dtype: 'string', dims: [...dims], data };
}

function numberTensor(dtype: DType, dims: readonly number[], data: ElementSource): TensorData {
  requireDType(dtype);
  const elements = ownElements(dtype, data);
  if (!elements) {
    throw new TensorError(
      'TENSOR_INVALID',
      `a ${dtype} tensor needs its data as ${ARRAY_OF[dtype].name}${orFloat16Array(dtype)}, not ${typeName(data)}`,
    );
  }
  requireSizes(dims);
  requireCount(dims, elements.length);
  return { dtype, dims: [...dims], data: elements } as TensorData;
}

function requireCount(dims: readonly number[], length: number): void {
  if (length === elementCount(dims)) return;
  throw new TensorError(
    'TENSOR_INVALID',
    `shape ${formatShape(dims)} holds ${elementCount(dims)} elements, but the data has ${length}`,
  );
}

const orFloat16Array = (dtype: DType): string =>
  dtype === 'float16' && 'Float16Array' in globalThis ? ' (its bits) or Float16Array' : '';

/**
 * Returns the elements in an array of this realm's type for `dtype`, `undefined` if they are of another type: an array of
 * another realm, and a Float16Array, become a view of the same memory.
 */
function ownElements(dtype: DType, data: ElementSource): ElementArray | undefined {
  const elements = halfBits(data);
  const ElementType = ARRAY_OF[dtype];
  if (elements instanceof ElementType) return dtype === 'float16' || elements === data ? elements : undefined;
  if (!ArrayBuffer.isView(elements) || typeName(elements) !== ElementType.name) return undefined;
  return new ElementType(elements.buffer as ArrayBuffer, elements.byteOffset, elements.length);
}

/** Returns a view of a Float16Array's bits, and any other array as it is. */
export function halfBits(data: ElementSource): ElementArray {
  // Other sizes need no look at the type's name, which is slow.
  if ((data as Uint16Array | undefined)?.BYTES_PER_ELEMENT !== 2 || typeName(data) !== 'Float16Array')
    return data as ElementArray;
  const { buffer, byteOffset, length } = data as HalfArray;
  return new Uint16Array(buffer as ArrayBuffer, byteOffset, length);
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
 * Checks a tensor that a caller may have put together by hand, and returns it.
 * @throws TensorError `TENSOR_INVALID` if it is not a tensor or contradicts itself.
 */
export function checkedTensor(value: TensorData): TensorData {
  if (typeof value === 'object' && value !== null) return tensor(value.dtype, value.dims, value.data);
  throw new TensorError(
    'TENSOR_INVALID',
    `${String(value)} is not a tensor: make one with tensor(dtype, dims, data)`,
  );
}

/** Makes an array of `length` zeros for `dtype`. */
export const allocate = <D extends DType>(dtype: D, length: number): ElementArray<D> =>
  new ARRAY_OF[dtype](length) as ElementArray<D>;

/** Returns a tensor of the same content in memory of its own, which no other thread can change. */
export function copyTensor<Value extends AnyTensor>(value: Value): Value;
export function copyTensor({ dtype, dims, data }: AnyTensor): AnyTensor {
  if (dtype === 'string') return { dtype, dims, data: [...data] };
  const copy = allocate(dtype, data.length);
  copy.set(data as never);
  return { dtype, dims, data: copy } as TensorData;
}

/**
 * Makes a tensor out of its little-endian bytes: a view if the bytes are aligned, else a copy. In a bool tensor every
 * byte but 0 means true; if one is above 1, the bytes are copied and made 1.
 * @throws TensorError `TENSOR_INVALID` if the number of bytes does not fit `dtype` and `dims`.
 */
export function tensorFromBytes<D extends DType>(
  dtype: D,
  dims: readonly number[],
  bytes: Uint8Array,
): TensorData<D> {
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
  return tensor(dtype, dims, data as ElementArray<D>);
}

/** Not `bytes.slice()`: a Node Buffer's `slice` is a view at the same address. */
const aligned = (bytes: Uint8Array, width: number): Uint8Array =>
  bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);

const zeroOrOne = (bytes: Uint8Array): Uint8Array =>
  bytes.some((byte) => byte > 1) ? Uint8Array.from(bytes, (byte) => Number(byte !== 0)) : bytes;

/** Returns the bytes of a tensor's elements, without a copy. */
export const tensorBytes = ({ data }: Pick<TensorData, 'data'>): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Bytes that are not in memory, such as a part of an open file. */
export interface StoredBytes {
  /** The number of bytes. */
  readonly byteLength: number;
  /** Reads bytes from byte `offset` on into memory, as many as it has. */
  readonly readInto: (offset: number, bytes: Uint8Array) => Promise<void>;
  /** The file that they are a part of, and the place of their first byte in it, if the file can be copied. */
  readonly within?: { readonly file: StoredFile; readonly offset: number } | undefined;
}

/** A file that can be copied as a whole, which systems do faster than a program that reads and writes. */
export interface StoredFile {
  /** The number of bytes. */
  readonly size: number;
  /** Copies the file to a path that has no file. Fails if another program has changed the file since it was opened. */
  readonly copyTo: (path: string) => Promise<void>;
}

/** Returns bytes, and reads them first if they are not in memory. */
export async function bytesOf(bytes: Uint8Array | StoredBytes): Promise<Uint8Array> {
  if (!('readInto' in bytes)) return bytes;
  const memory = new Uint8Array(bytes.byteLength);
  await bytes.readInto(0, memory);
  return memory;
}

/** Makes an int64 vector, the form in which ONNX takes sizes, axes and indices. */
export const int64Vector = (values: readonly number[]): TensorData<'int64'> =>
  tensor('int64', [values.length], new BigInt64Array(values.map(BigInt)));
