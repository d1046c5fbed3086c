/** Tensors as TensorProtos. */
import { ModelError } from '../errors.js';
import { KINDS, sniff } from '../files/sniff.js';
import { dtypeFromOnnx, ONNX_DTYPE } from '../graph/types.js';
import {
  allocate,
  bytesPerElement,
  type DType,
  DTYPES,
  type ElementArray,
  elementCount,
  formatShape,
  tensor,
  tensorBytes,
  type TensorData,
  tensorFromBytes,
} from '../tensor.js';
import { type TensorMessage, TensorProto } from './proto.js';
import { ENTRY, TENSOR, TYPED_DATA, type TypedField } from './schema.js';
import { WireReader } from './wire.js';

/** A tensor as ONNX's `raw_data`, which is a view of the data and not a copy. */
export const encodeTensor = (name: string, data: TensorData): TensorMessage => ({
  name,
  dims: [...data.dims],
  dataType: ONNX_DTYPE[data.dtype],
  rawData: tensorBytes(data),
});

/** A tensor whose bytes lie at `offset` in the file `location`, beside the model. Source: ONNX external data. */
export const encodeExternalTensor = (
  name: string,
  { dtype, dims, data }: TensorData,
  { location, offset }: { location: string; offset: number },
): TensorMessage => ({
  name,
  dims: [...dims],
  dataType: ONNX_DTYPE[dtype],
  dataLocation: TensorProto.DataLocation.EXTERNAL,
  externalData: [
    { key: 'location', value: location },
    { key: 'offset', value: String(offset) },
    { key: 'length', value: String(data.byteLength) },
  ],
});

// SECTION: The elements of a tensor that lie one by one in a field of their type, rather than as bytes.

const [FLOAT, INT32, , INT64, DOUBLE, UINT64] = TYPED_DATA;

/** The field of a dtype. Source: onnx.proto; float16 and bfloat16 are the bits of an int32. */
const fieldOf = (dtype: DType): TypedField => FIELDS[dtype] ?? INT32;

const FIELDS: Partial<Record<DType, TypedField>> = {
  float32: FLOAT,
  float64: DOUBLE,
  int64: INT64,
  uint32: UINT64,
  uint64: UINT64,
};

/**
 * @param message A TensorProto, at its beginning.
 * @returns The elements; nothing if there are not as many as `length`.
 */
export function typedElements(message: WireReader, dtype: DType, length: number): ElementArray | undefined {
  const { single, packed } = fieldOf(dtype);
  const elements = allocate(dtype, length) as WritableElements;
  const read = readerOf(dtype);
  let count = 0;
  while (message.next()) {
    if (message.tag !== single && message.tag !== packed) continue;
    for (const element of read(message)) {
      if (count === length) return undefined;
      elements[count++] = element;
    }
  }
  return count === length ? (elements as ElementArray) : undefined;
}

/** What is stored is cut to the width of the array's elements, as protobuf's readers do. */
type WritableElements = Record<number, number | bigint>;

function readerOf(dtype: DType): (field: WireReader) => Iterable<number | bigint> {
  if (dtype === 'float32') return (field) => field.floats();
  if (dtype === 'float64') return (field) => field.doubles();
  if (dtype === 'int64' || dtype === 'uint64') return (field) => field.uint64s();
  return dtype === 'bool' ? bits : (field) => field.int64s();
}

/** ONNX stores a bool as any integer. */
function* bits(field: WireReader): Generator<number, void> {
  for (const value of field.int64s()) yield Number(value !== 0);
}

// SECTION: Tensors of existing models: what stands before their data, whether the data fits it, and the data of small ones.

/** A tensor without its data. */
export interface TensorHeader {
  readonly name: string;
  readonly dims: readonly number[];
  /** ONNX's number of the dtype. */
  readonly dataType: number;
  /** The file that the data lies in, relative to the model's folder; nothing if it lies in the model. */
  readonly location: string | undefined;
  /** The data, as a view, if it is held as bytes. */
  readonly raw: Uint8Array | undefined;
  /** The whole message, from its beginning. */
  readonly content: () => WireReader;
}

/** No tensor has more dimensions; what claims to is not a list of numbers to be made. */
const MAX_RANK = 1024;

/** Of TensorProto's `data_location`: the data lies in another file. */
const EXTERNAL: number = TensorProto.DataLocation.EXTERNAL;

/** The tensor in a field. */
export const readTensor = (field: WireReader): TensorHeader => readTensorMessage(field.enter());

/** The tensor that a message is, read from its beginning. */
export function readTensorMessage(message: WireReader): TensorHeader {
  let name = '';
  let dataType = 0;
  let isExternal = false;
  let location = '';
  let raw: Uint8Array | undefined;
  const dims: number[] = [];
  while (message.next()) {
    const { tag } = message;
    if (tag === TENSOR.name) name = message.text();
    else if (tag === TENSOR.dims || tag === TENSOR.packedDims) readDims(message, dims);
    else if (tag === TENSOR.dataType) dataType = message.int32();
    else if (tag === TENSOR.rawData) raw = message.bytes;
    else if (tag === TENSOR.dataLocation) isExternal = message.int32() === EXTERNAL;
    else if (tag === TENSOR.externalData) location = readLocation(message.enter()) ?? location;
  }
  const content = () => message.again();
  return { name, dims, dataType, raw, location: isExternal ? location : undefined, content };
}

/**
 * Checks that the shape, dtype and data of the tensor in a field agree, before a runtime allocates what the shape
 * claims. Tensors of dtypes that this library does not hold, and external ones, are left to the runtime.
 * @throws ModelError `TENSOR_INVALID`.
 */
export function checkTensor(field: WireReader): void {
  const header = readTensor(field);
  requireData(header, `initializer '${header.name}'`, 'the model');
}

/**
 * @param where What has the tensor, for messages.
 * @param holder What holds the data, for messages: `the model`.
 * @throws ModelError `TENSOR_INVALID` if there is not as much data as dtype and shape say. What {@link checkTensor}
 *   leaves to a runtime passes.
 */
export function requireData(header: TensorHeader, where: string, holder: string): void {
  const { dims, dataType, location, raw } = header;
  if (!isShape(dims)) throw new ModelError('TENSOR_INVALID', `${where}: ${formatShape(dims)} is no shape`);
  const typed = countElements(header.content(), where);
  const dtype = dtypeFromOnnx(dataType);
  if (!dtype || location !== undefined) return;
  const expected = elementCount(dims);
  const bytes = raw?.length ?? 0;
  const isRaw = bytes > 0 || typed === 0;
  if (isRaw ? bytes === expected * bytesPerElement(dtype) : typed === expected) return;
  throw new ModelError(
    'TENSOR_INVALID',
    `${where}: shape ${formatShape(dims)} of ${dtype} takes ${expected * bytesPerElement(dtype)} bytes, ` +
      `but ${holder} holds ${isRaw ? `${bytes} bytes` : `${typed} elements`}`,
  );
}

/**
 * The data of a tensor, if the message holds as much as its shape claims.
 * @param maxTyped How many elements are read one by one.
 */
export function heldTensor(header: TensorHeader, maxTyped = MAX_TYPED): TensorData | undefined {
  const { dataType, dims, location, raw } = header;
  const dtype = dtypeFromOnnx(dataType);
  if (!dtype || location !== undefined || !isShape(dims)) return undefined;
  const length = elementCount(dims);
  const bytes = raw ?? new Uint8Array(0);
  if (bytes.length === length * bytesPerElement(dtype)) return tensorFromBytes(dtype, dims, bytes);
  if (bytes.length > 0 || length > maxTyped) return undefined;
  const elements = typedElements(header.content(), dtype, length);
  return elements && tensor(dtype, dims, elements);
}

/** Passes look into scales, sizes and numbers; weights would be decoded for nothing, one by one. */
const MAX_TYPED = 2 ** 16;

const isShape = (dims: readonly number[]): boolean =>
  dims.length <= MAX_RANK &&
  dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0) &&
  Number.isSafeInteger(elementCount(dims));

/** Reads one dimension more than a tensor may have, so that it can be seen that there are too many. */
function readDims(tensor: WireReader, dims: number[]): void {
  for (const dim of tensor.int64s()) {
    if (dims.length > MAX_RANK) return;
    dims.push(dim);
  }
}

function readLocation(entry: WireReader): string | undefined {
  let [key, value] = ['', ''];
  while (entry.next()) {
    if (entry.tag === ENTRY.key) key = entry.text();
    else if (entry.tag === ENTRY.value) value = entry.text();
  }
  return key === 'location' ? value : undefined;
}

/** How many elements the fullest typed field holds. Elements are counted, and not made. */
function countElements(tensor: WireReader, where: string): number {
  const counts = TYPED_DATA.map(() => 0);
  while (tensor.next()) {
    const index = TYPED_DATA.findIndex(
      ({ packed, single }) => tensor.tag === single || tensor.tag === packed,
    );
    const field = TYPED_DATA[index];
    if (field) counts[index]! += countIn(tensor, field, where);
  }
  return Math.max(...counts);
}

function countIn(tensor: WireReader, { name, packed, width }: TypedField, where: string): number {
  if (tensor.tag !== packed) return 1;
  const { bytes } = tensor;
  const isWhole = width ? bytes.length % width === 0 : bytes.length === 0 || bytes.at(-1)! < 0x80;
  if (!isWhole) throw new ModelError('TENSOR_INVALID', `${where}: the last number in ${name} is cut short`);
  return width ? bytes.length / width : countVarints(bytes);
}

/** A varint ends with the byte that has no top bit. */
function countVarints(bytes: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) count += 1 - (bytes[i]! >> 7);
  return count;
}

// SECTION: A tensor in a file of its own: a TensorProto, as ONNX's test data has them (`input_0.pb`).

/** A tensor, and what its file calls it: not always what a model does. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: TensorData;
}

/**
 * The tensor in the bytes of a TensorProto, of any dtype of `DTYPES`. What it takes does not depend on what the
 * shape claims. A view of the bytes where it can be.
 * @param where What messages call it: the file's path.
 * @throws ModelError `TENSOR_INVALID`.
 */
export function decodeTensorFile(bytes: Uint8Array, where: string): NamedTensor {
  try {
    return decode(bytes, where);
  } catch (cause) {
    if (!(cause instanceof ModelError) || cause.code === 'TENSOR_INVALID') throw cause;
    const kind = sniff(bytes);
    const what = kind ? `it is ${KINDS[kind]}` : `or the file is damaged (${cause.message})`;
    throw new ModelError('TENSOR_INVALID', `${where}: this is no TensorProto, ${what}`, { cause });
  }
}

function decode(bytes: Uint8Array, where: string): NamedTensor {
  const header = readTensorMessage(WireReader.of(bytes));
  requireDtype(header, where);
  requireInside(header, where);
  requireData(header, where, 'the file');
  const tensor = heldTensor(header, Infinity);
  if (tensor) return { name: header.name, tensor };
  throw invalid(
    where,
    `its elements lie in another field than those of ${dtypeFromOnnx(header.dataType)} do`,
  );
}

function requireDtype({ dataType }: TensorHeader, where: string): void {
  if (dtypeFromOnnx(dataType)) return;
  if (dataType === 0)
    throw invalid(where, 'it has no dtype: the file is empty, cut short, or no TensorProto');
  const name = TensorProto.DataType[dataType] ?? `number ${dataType}`;
  throw invalid(where, `its dtype is ONNX's ${name}; allowed: ${DTYPES.join(', ')}`);
}

function requireInside({ location }: TensorHeader, where: string): void {
  if (location === undefined) return;
  throw invalid(where, `its data lies in a file of its own, '${location}'; it must lie in the tensor's file`);
}

const invalid = (where: string, problem: string): ModelError =>
  new ModelError('TENSOR_INVALID', `${where}: ${problem}`);
