/** Tensors of existing models: what stands before their data, and whether the data fits it. The data is not read. */
import { ModelError } from '../errors.js';
import { dtypeFromOnnx } from '../graph/index.js';
import { bytesPerElement, elementCount, formatShape, tensorFromBytes, type TensorData } from '../tensor.js';
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
}

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
  const tensor = field.enter();
  while (tensor.next()) {
    const { tag } = tensor;
    if (tag === TENSOR.name) name = tensor.text();
    else if (tag === TENSOR.dims || tag === TENSOR.packedDims) readDims(tensor, dims);
    else if (tag === TENSOR.dataType) dataType = tensor.int32();
    else if (tag === TENSOR.rawData) raw = tensor.bytes;
    else if (tag === TENSOR.dataLocation) isExternal = tensor.int32() === EXTERNAL;
    else if (tag === TENSOR.externalData) location = readLocation(tensor.enter()) ?? location;
  }
  return { name, dims, dataType, raw, location: isExternal ? location : undefined };
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

/** The data of a tensor that is held as `raw_data`; `undefined` for one that is held in another way. */
export function rawTensor({ dataType, dims, location, raw }: TensorHeader): TensorData | undefined {
  const dtype = dtypeFromOnnx(dataType);
  const bytes = raw ?? new Uint8Array(0);
  // Without bytes, the elements are in a typed field.
  const isElsewhere = location !== undefined || (bytes.length === 0 && elementCount(dims) > 0);
  return dtype && !isElsewhere ? tensorFromBytes(dtype, dims, bytes) : undefined;
}

/** The same for a tensor that was not checked, and may claim what it does not hold. */
export function heldTensor(header: TensorHeader): TensorData | undefined {
  const dtype = dtypeFromOnnx(header.dataType);
  const fits =
    dtype &&
    isShape(header.dims) &&
    (header.raw?.length ?? 0) === elementCount(header.dims) * bytesPerElement(dtype);
  return fits ? rawTensor(header) : undefined;
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
