/** Tensors of existing models: what stands before their data, whether the data fits it, and the data of small ones. */
import { ModelError } from '../errors.js';
import { dtypeFromOnnx } from '../graph/index.js';
import {
  bytesPerElement,
  elementCount,
  formatShape,
  tensor,
  tensorFromBytes,
  type TensorData,
} from '../tensor.js';
import { TensorProto } from './proto.js';
import { ENTRY, TENSOR, TYPED_DATA, type TypedField } from './schema.js';
import { typedElements } from './typed-data.js';
import type { WireReader } from './wire.js';

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
