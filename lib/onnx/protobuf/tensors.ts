/** TensorProtos: how tensors are written, read and checked, in models and in files of their own. */
import { ModelError } from '../../errors.js';
import { KINDS, sniff } from '../../files/sniff.js';
import { dtypeFromOnnx, ONNX_DTYPE } from '../../graph/types.js';
import { Budget, type Limits, requireLimits } from '../../limits.js';
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
} from '../../tensor.js';
import type { TensorMessage } from './messages.js';
import { TensorProto } from './proto.js';
import { ENTRY, TENSOR, TYPED_DATA, type TypedField } from './schema.js';
import { exact, requireOnce, tooLarge, WireReader } from './wire.js';

/** Makes a TensorProto whose `raw_data` is a view of the data and not a copy. */
export const encodeTensor = (name: string, data: TensorData): TensorMessage => ({
  name,
  dims: [...data.dims],
  dataType: ONNX_DTYPE[data.dtype],
  rawData: tensorBytes(data),
});

/** Returns a file that is one TensorProto, as {@link decodeTensorFile} reads it. */
export const encodeTensorFile = (name: string, data: TensorData): Uint8Array =>
  TensorProto.encode(encodeTensor(name, data)).finish();

/** Makes a TensorProto whose bytes lie at `offset` in the file `location`, beside the model. Source: ONNX external data. */
export const encodeExternalTensor = (
  name: string,
  { dtype, dims }: Pick<TensorData, 'dtype' | 'dims'>,
  place: PlaceInFile,
): TensorMessage => ({
  name,
  dims: [...dims],
  dataType: ONNX_DTYPE[dtype],
  ...externalPlace(place),
});

/** Where the data of a tensor lies. */
interface PlaceInFile {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** Returns the fields of a TensorProto that say where its data lies. */
export const externalPlace = ({
  location,
  offset,
  length,
}: PlaceInFile): Pick<TensorMessage, 'dataLocation' | 'externalData'> => ({
  dataLocation: TensorProto.DataLocation.EXTERNAL,
  externalData: [
    { key: 'location', value: location },
    { key: 'offset', value: String(offset) },
    { key: 'length', value: String(length) },
  ],
});

/** A tensor of an existing model, without its data. */
export interface TensorHeader {
  readonly name: string;
  readonly dims: readonly number[];
  /** ONNX's number of the dtype. */
  readonly dataType: number;
  /** The file that the data lies in, relative to the model's folder; `undefined` if the data lies in the model. */
  readonly location: string | undefined;
  /** A view of `raw_data`; `undefined` if the tensor has none. */
  readonly raw: Uint8Array | undefined;
  readonly message: WireReader;
}

/** Of TensorProto's `data_location`: the data lies in another file. */
const EXTERNAL: number = TensorProto.DataLocation.EXTERNAL;

/** Reads the tensor in a field. */
export const readTensorHeader = (field: WireReader): TensorHeader => readHeader(field.enter());

function readHeader(message: WireReader): TensorHeader {
  let name = '';
  let dataType = 0;
  let isExternal: boolean | undefined;
  let location: string | undefined;
  let raw: Uint8Array | undefined;
  const dims: number[] = [];
  while (message.next()) {
    const { tag } = message;
    if (tag === TENSOR.name) name = message.text();
    else if (tag === TENSOR.dims || tag === TENSOR.packedDims) readDims(message, dims);
    else if (tag === TENSOR.dataType) dataType = message.int32();
    else if (tag === TENSOR.rawData) raw = message.bytes;
    else if (tag === TENSOR.dataLocation) {
      // protobuf skips a number that the enum does not have: the last field need not count.
      if (isExternal !== undefined) throw requireOnce('a tensor', 'data_location');
      isExternal = message.int32() === EXTERNAL;
    } else if (tag === TENSOR.externalData) {
      const { key, value } = readEntry(message.enter());
      if (key !== 'location') continue;
      if (location !== undefined) throw requireOnce("a tensor's external_data", 'location');
      location = value;
    }
  }
  return {
    name,
    dims: exact(dims),
    dataType,
    raw,
    location: isExternal ? (location ?? '') : undefined,
    message,
  };
}

/** Adds the dimensions in a field. @throws ModelError `LIMIT_EXCEEDED`: a message that claims many dimensions must not become a list of that length. */
export function readDims(tensor: WireReader, dims: number[]): void {
  const { modelRank } = tensor.budget.limits;
  for (const dim of tensor.int64s()) {
    if (dims.length >= modelRank)
      throw tooLarge(`a tensor of more than ${modelRank} dimensions`, 'modelRank');
    dims.push(dim);
  }
}

/** Reads a StringStringEntryProto. */
export function readEntry(entry: WireReader): { key: string; value: string } {
  let [key, value] = ['', ''];
  while (entry.next()) {
    if (entry.tag === ENTRY.key) key = entry.text();
    else if (entry.tag === ENTRY.value) value = entry.text();
  }
  return { key, value };
}

/** Returns how many bytes the file of an external tensor must have: up to the end of the tensor's data. */
export const externalEnd = (header: TensorHeader): number => externalRange(header).end;

/**
 * Returns the bytes of an external tensor in its file: from `offset` up to, but not including, `end`. They are the same if the
 * tensor names no length and its dtype is not a dtype of this library.
 * @throws ModelError `TENSOR_INVALID` if `offset` or `length` is not a number, or contradicts dtype and shape.
 */
export function externalRange({ name, dims, dataType, message }: TensorHeader): {
  readonly offset: number;
  readonly end: number;
} {
  const where = `tensor '${name}'`;
  if (!isShape(dims)) throw invalid(where, notAShape(dims));
  const entries = new Map<string, string>();
  const tensor = message.rewound();
  while (tensor.next()) {
    if (tensor.tag !== TENSOR.externalData) continue;
    const { key, value } = readEntry(tensor.enter());
    if (entries.has(key) && RANGE.includes(key)) throw requireOnce("a tensor's external_data", key);
    entries.set(key, value);
  }
  const [offset, length] = RANGE.map((key) => bytesIn(entries.get(key), `${where}: its ${key}`));
  const dtype = dtypeFromOnnx(dataType);
  const expected = dtype && elementCount(dims) * bytesPerElement(dtype);
  // ONNX Runtime takes a length of 0 for a length that the model does not name.
  if (length && expected !== undefined && length !== expected) {
    throw invalid(
      where,
      `shape ${formatShape(dims)} of ${dtype} takes ${expected} bytes, but its length in the file is ${length}`,
    );
  }
  const end = offset! + (length || (expected ?? 0));
  if (!Number.isSafeInteger(end)) throw invalid(where, `it ends in its file after ${end} bytes`);
  return { offset: offset!, end };
}

const RANGE: readonly string[] = ['offset', 'length'];

function bytesIn(text = '0', what: string): number {
  const bytes = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new ModelError('TENSOR_INVALID', `${what} in its file must be a number of bytes; it is '${text}'`);
}

/**
 * Reads the tensor in a field and checks that its shape, dtype and data agree, before a runtime allocates as much as the
 * shape claims. External tensors, and dtypes that this library does not hold, are left to the runtime.
 * @throws ModelError `TENSOR_INVALID`.
 */
export function checkTensor(field: WireReader): TensorHeader {
  const header = readTensorHeader(field);
  requireData(header, `initializer '${header.name}'`, 'the model');
  return header;
}

/**
 * @param where What has the tensor, for messages.
 * @param holder What holds the data, for messages: `the model`.
 * @throws ModelError `TENSOR_INVALID` if the data is shorter or longer than dtype and shape say. Tensors that
 *   {@link checkTensor} leaves to a runtime pass.
 */
function requireData(header: TensorHeader, where: string, holder: string): void {
  const { dims, dataType, location, raw } = header;
  if (!isShape(dims)) throw invalid(where, notAShape(dims));
  const typed = countElements(header.message.rewound(), where);
  const dtype = dtypeFromOnnx(dataType);
  if (!dtype || location !== undefined) return;
  const expected = elementCount(dims);
  const bytes = raw?.length ?? 0;
  const isRaw = bytes > 0 || typed === 0;
  if (isRaw ? bytes === expected * bytesPerElement(dtype) : typed === expected) return;
  throw invalid(
    where,
    `shape ${formatShape(dims)} of ${dtype} takes ${expected * bytesPerElement(dtype)} bytes, ` +
      `but ${holder} holds ${isRaw ? `${bytes} bytes` : `${typed} elements`}`,
  );
}

/** Whether all dimensions are sizes, and their product is exact. */
export const isShape = (dims: readonly number[]): boolean =>
  dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0) && Number.isSafeInteger(elementCount(dims));

/** Returns the message for sizes that are not those of a tensor. */
export const notAShape = (dims: readonly number[]): string =>
  `${formatShape(dims)} is not a shape: sizes are whole numbers from 0 on, for less than 2^53 elements. Write the file again`;

/** Returns the number of elements in the fullest typed field. Counts them without making an array. */
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
  if (!isWhole) throw invalid(where, `the last number in ${name} is cut short`);
  return width ? bytes.length / width : countVarints(bytes);
}

/** The last byte of a varint is the one without a top bit. */
function countVarints(bytes: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) count += 1 - (bytes[i]! >> 7);
  return count;
}

/** Passes read scales, sizes and single numbers. Weights in a typed field are longer, and are not decoded for them. */
const MAX_TYPED_ELEMENTS = 2 ** 16;

/**
 * Returns the data of a tensor, or `undefined` if the message does not hold as much as the shape claims.
 * @param maxTyped The highest number of elements that are decoded from a typed field.
 */
export function readTensorData(
  { dataType, dims, location, raw = new Uint8Array(0), message }: TensorHeader,
  maxTyped = MAX_TYPED_ELEMENTS,
): TensorData | undefined {
  const dtype = dtypeFromOnnx(dataType);
  if (!dtype || location !== undefined || !isShape(dims)) return undefined;
  const length = elementCount(dims);
  if (raw.length === length * bytesPerElement(dtype)) return tensorFromBytes(dtype, dims, raw);
  if (raw.length > 0 || length > maxTyped) return undefined;
  const elements = readTypedElements(message.rewound(), dtype, length);
  return elements && tensor(dtype, dims, elements);
}

/** Elements are cut to the width of the array's, as in protobuf's readers. */
type WritableElements = Record<number, number | bigint>;

/**
 * Reads elements from the field of their type.
 * @param message A TensorProto, before its first field.
 * @returns `undefined` if the number of elements is not `length`.
 */
function readTypedElements(message: WireReader, dtype: DType, length: number): ElementArray | undefined {
  const { single, packed } = FIELDS[dtype] ?? INT32;
  const elements = allocate(dtype, length) as WritableElements;
  const read = elementReader(dtype);
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

const [FLOAT, INT32, , INT64, DOUBLE, UINT64] = TYPED_DATA;

/** Other dtypes are stored as int32, float16 and bfloat16 as their bits. Source: onnx.proto. */
const FIELDS: Partial<Record<DType, TypedField>> = {
  float32: FLOAT,
  float64: DOUBLE,
  int64: INT64,
  uint32: UINT64,
  uint64: UINT64,
};

function elementReader(dtype: DType): (field: WireReader) => Iterable<number | bigint> {
  if (dtype === 'float32') return (field) => field.floats();
  if (dtype === 'float64') return (field) => field.doubles();
  if (dtype === 'int64' || dtype === 'uint64') return (field) => field.uint64s();
  return dtype === 'bool' ? bits : (field) => field.int64s();
}

/** ONNX stores a bool as any integer. */
function* bits(field: WireReader): Generator<number, void> {
  for (const value of field.int64s()) yield Number(value !== 0);
}

/** A tensor and its name in its file, which need not be a name in the model. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: TensorData;
}

/**
 * Decodes a file that is one TensorProto, as in ONNX's test data (`input_0.pb`), of any dtype of `DTYPES`. The result is
 * a view of the bytes if possible. Memory does not depend on what the shape claims.
 * @param where What messages call the tensor: the file's path.
 * @throws ModelError `TENSOR_INVALID` or `LIMIT_EXCEEDED`; OptionError.
 */
export function decodeTensorFile(bytes: Uint8Array, where: string, limits?: Partial<Limits>): NamedTensor {
  const budget = new Budget(requireLimits('decodeTensorFile', limits), bytes.byteLength);
  try {
    return decodeTensor(WireReader.of(bytes, budget), where);
  } catch (cause) {
    if (!(cause instanceof ModelError) || cause.code === 'TENSOR_INVALID') throw cause;
    if (cause.code === 'LIMIT_EXCEEDED')
      throw new ModelError(cause.code, `${where}: ${cause.message}`, { cause });
    const kind = sniff(bytes);
    const what = kind ? `it is ${KINDS[kind]}` : `or the file is damaged (${cause.message})`;
    throw new ModelError('TENSOR_INVALID', `${where}: this is not a TensorProto, ${what}`, { cause });
  }
}

function decodeTensor(file: WireReader, where: string): NamedTensor {
  const header = readHeader(file);
  requireDtype(header, where);
  requireNotExternal(header, where);
  requireData(header, where, 'the file');
  const tensor = readTensorData(header, Infinity);
  if (tensor) return { name: header.name, tensor };
  const dtype = dtypeFromOnnx(header.dataType);
  throw invalid(
    where,
    `its dtype is ${dtype}, but its elements are in a TensorProto field that ONNX does not use for ${dtype}`,
  );
}

function requireDtype({ dataType }: TensorHeader, where: string): void {
  if (dtypeFromOnnx(dataType)) return;
  if (dataType === 0)
    throw invalid(where, 'it has no dtype: the file is empty, cut short, or not a TensorProto');
  const name = TensorProto.DataType[dataType] ?? `number ${dataType}`;
  throw invalid(where, `its dtype is ONNX's ${name}; allowed: ${DTYPES.join(', ')}`);
}

function requireNotExternal({ location }: TensorHeader, where: string): void {
  if (location === undefined) return;
  throw invalid(where, `its data is in a separate file, '${location}'; it must be in the tensor's own file`);
}

const invalid = (where: string, problem: string): ModelError =>
  new ModelError('TENSOR_INVALID', `${where}: ${problem}`);
