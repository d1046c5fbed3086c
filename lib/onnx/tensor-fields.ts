/** Tensors of existing models: what stands before their data, and whether the data fits it. The data is not read. */
import { ModelError } from '../errors.js';
import { dtypeFromOnnx } from '../graph/index.js';
import {
  bytesPerElement,
  elementCount,
  formatShape,
  tensor,
  tensorFromBytes,
  type DType,
  type ElementArray,
  type TensorData,
} from '../tensor.js';
import { TensorProto } from './proto.js';
import { ENTRY, TENSOR, TYPED_DATA } from './schema.js';
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

const [FLOAT_DATA, INT32_DATA, , INT64_DATA] = TYPED_DATA;

/** No tensor has more dimensions; what claims to is no list of numbers to be made. */
const MAX_RANK = 1024;

/** Of TensorProto's `data_location`: the data lies in another file. */
const EXTERNAL: number = TensorProto.DataLocation.EXTERNAL;

/** The tensor in a field. */
export function readTensor(field: WireReader): TensorHeader {
  let name = '';
  let dataType = 0;
  let isExternal = false;
  let location = '';
  let raw: Uint8Array | undefined;
  const dims: number[] = [];
  const message = field.enter();
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
  const { name, dims, dataType, location, raw } = readTensor(field);
  const where = `initializer '${name}'`;
  if (!isShape(dims)) throw new ModelError('TENSOR_INVALID', `${where}: ${formatShape(dims)} is no shape`);
  const typed = countElements(field.enter(), where);
  const dtype = dtypeFromOnnx(dataType);
  if (!dtype || location !== undefined) return;
  const expected = elementCount(dims);
  const bytes = raw?.length ?? 0;
  const isRaw = bytes > 0 || typed === 0;
  if (isRaw ? bytes === expected * bytesPerElement(dtype) : typed === expected) return;
  throw new ModelError(
    'TENSOR_INVALID',
    `${where}: shape ${formatShape(dims)} of ${dtype} takes ${expected * bytesPerElement(dtype)} bytes, ` +
      `but the model holds ${isRaw ? `${bytes} bytes` : `${typed} elements`}`,
  );
}

/** The data of a tensor, if the model holds as much as its shape claims, in a way that is soon read. */
export function heldTensor(header: TensorHeader): TensorData | undefined {
  const { dataType, dims, location, raw } = header;
  const dtype = dtypeFromOnnx(dataType);
  if (!dtype || location !== undefined || !isShape(dims)) return undefined;
  const length = elementCount(dims);
  const bytes = raw ?? new Uint8Array(0);
  if (bytes.length === length * bytesPerElement(dtype)) return tensorFromBytes(dtype, dims, bytes);
  const isTyped = bytes.length === 0 && length <= MAX_TYPED;
  const elements = isTyped ? typedElements(header.content(), dtype) : undefined;
  return elements?.length === length ? tensor(dtype, dims, elements) : undefined;
}

/** Passes look into scales, sizes and numbers; weights would be decoded for nothing, one by one. */
const MAX_TYPED = 2 ** 16;

/** The elements that lie in a field of their type; float16 and bfloat16 are the bits of an int32. */
function typedElements(content: WireReader, dtype: DType): ElementArray | undefined {
  if (dtype === 'float32') return Float32Array.from(listIn(content, FLOAT_DATA, (field) => field.floats()));
  if (dtype === 'int64')
    return BigInt64Array.from(
      listIn(content, INT64_DATA, (field) => field.int64s()),
      BigInt,
    );
  if (dtype !== 'float16' && dtype !== 'bfloat16') return undefined;
  return Uint16Array.from(listIn(content, INT32_DATA, (field) => field.int64s()));
}

function listIn(
  content: WireReader,
  { single, packed }: (typeof TYPED_DATA)[number],
  read: (field: WireReader) => Iterable<number>,
): number[] {
  const list: number[] = [];
  while (content.next()) {
    if (content.tag === single || content.tag === packed) for (const value of read(content)) list.push(value);
  }
  return list;
}

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
    if (!field) continue;
    counts[index]! += tensor.tag === field.single ? 1 : countPacked(tensor.bytes, field, where);
  }
  return Math.max(...counts);
}

function countPacked(bytes: Uint8Array, { name, width }: (typeof TYPED_DATA)[number], where: string): number {
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
