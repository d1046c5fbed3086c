/** Tensors as TensorProtos. */
import { ONNX_DTYPE } from '../graph/index.js';
import { tensorBytes, type TensorData } from '../tensor.js';
import { TensorProto, type TensorMessage } from './proto.js';

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
