/** Tensors and their descriptions on the way to ONNX Runtime's JavaScript interfaces and back. */
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { ModelError } from '../../errors.js';
import { type DType, DTYPES, type ElementArray, tensor, type TensorData } from '../../tensor.js';
import type { TensorInfo } from './contract.js';

/** The class that a package's own `run` knows. */
export type TensorType = typeof Tensor;

/**
 * Where the engine has Float16Array, ONNX Runtime's Tensor makes one of the bits that it is given, which
 * onnxruntime-node's library does not take (microsoft/onnxruntime issue 32323): it gets the bits as they are.
 */
export function toRuntime(TensorClass: TensorType, { dtype, dims, data }: TensorData): Tensor {
  const made = new TensorClass(dtype as 'float32', data as Float32Array, dims);
  if (dtype === 'float16' && (made.data as unknown) !== data)
    Object.defineProperty(made, 'data', { value: data });
  return made;
}

export function fromRuntime({ type, dims, data }: Tensor): TensorData {
  const dtype = requireDType(type);
  const array = data as ElementArray;
  // Where the engine has Float16Array, the runtime answers with it; here a float16 is its 16 bits.
  const bits = dtype === 'float16' ? new Uint16Array(array.buffer, array.byteOffset, array.length) : array;
  return tensor(dtype, dims, bits);
}

/** What onnxruntime-web makes of −1, ONNX Runtime's size of a dimension that has neither size nor name. */
const NAMELESS = 2 ** 32 - 1;

/** @throws ModelError `MODEL_UNSUPPORTED` for what is not a tensor, or of a dtype that cannot be passed. */
export function toInfo(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) {
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      `'${metadata.name}' is not a tensor; only tensors can be passed`,
    );
  }
  const shape = metadata.shape.map((dim) => (dim === NAMELESS ? '' : dim));
  return { name: metadata.name, dtype: requireDType(metadata.type), shape };
}

function requireDType(type: string): DType {
  if ((DTYPES as readonly string[]).includes(type)) return type as DType;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    `dtype '${type}' cannot be passed; allowed: ${DTYPES.join(', ')}`,
  );
}
