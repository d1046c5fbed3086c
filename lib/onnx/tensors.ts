/** TensorProto to and from tensors. */
import { ModelError } from '../errors.js';
import { dtypeFromOnnx, ONNX_DTYPE } from '../graph/index.js';
import {
  bytesPerElement,
  elementCount,
  formatShape,
  tensorBytes,
  tensorFromBytes,
  type TensorData,
} from '../tensor.js';
import { isExternal, TensorProto, toNumber, type TensorMessage } from './proto.js';

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

/**
 * Checks that a tensor's shape, dtype and data agree, before a runtime allocates what the shape claims.
 * Tensors of dtypes that this library does not hold, and external ones, are left to the runtime.
 * @throws ModelError `TENSOR_INVALID`.
 */
export function checkTensor(message: TensorMessage): void {
  const where = `initializer '${message.name ?? ''}'`;
  const dims = (message.dims ?? []).map(toNumber);
  if (
    !dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0) ||
    !Number.isSafeInteger(elementCount(dims))
  ) {
    throw new ModelError('TENSOR_INVALID', `${where}: ${formatShape(dims)} is no shape`);
  }
  const dtype = dtypeFromOnnx(message.dataType ?? 0);
  if (!dtype || isExternal(message)) return;
  const expected = elementCount(dims);
  const raw = message.rawData?.length ?? 0;
  const typed = Math.max(...TYPED_FIELDS.map((field) => message[field]?.length ?? 0));
  const fits = raw > 0 || typed === 0 ? raw === expected * bytesPerElement(dtype) : typed === expected;
  if (fits) return;
  throw new ModelError(
    'TENSOR_INVALID',
    `${where}: shape ${formatShape(dims)} of ${dtype} takes ${expected * bytesPerElement(dtype)} bytes, ` +
      `but the model holds ${raw > 0 || typed === 0 ? `${raw} bytes` : `${typed} elements`}`,
  );
}

/** The data of a tensor that is held as `raw_data`; `undefined` for one that is held in another way. */
export function decodeRawTensor(message: TensorMessage): TensorData | undefined {
  const dtype = dtypeFromOnnx(message.dataType ?? 0);
  const dims = (message.dims ?? []).map(toNumber);
  const { rawData } = message;
  // protobuf.js gives an absent field as no bytes: then the elements are in a typed field.
  if (!dtype || isExternal(message) || !rawData || (rawData.length === 0 && elementCount(dims) > 0))
    return undefined;
  return tensorFromBytes(dtype, dims, rawData);
}

const TYPED_FIELDS = [
  'floatData',
  'int32Data',
  'int64Data',
  'doubleData',
  'uint64Data',
  'stringData',
] as const;
