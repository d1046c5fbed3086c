/** The common part of onnxruntime-node and onnxruntime-web: a loaded model, and its tensors on the way in and out. */
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import {
  type AnyTensor,
  type DType,
  DTYPES,
  type ElementArray,
  isStringTensor,
  tensor,
} from '../../tensor.js';
import type { AnyTensorRecord, LoadedModel, BackendRunOptions, NameSet, TensorInfo } from './contract.js';
import { requirePassable, withOpenRanks } from './tensors.js';

/** The Tensor class of a package: its `run` accepts no other. */
export type TensorType = typeof Tensor;

/** A model that one of the packages has loaded. */
export abstract class OrtModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];

  constructor(
    readonly session: InferenceSession,
    unranked: NameSet,
    describe: (metadata: InferenceSession.ValueMetadata) => TensorInfo = toInfo,
  ) {
    this.inputs = withOpenRanks(session.inputMetadata.map(describe), unranked);
    this.outputs = withOpenRanks(session.outputMetadata.map(describe), unranked);
    requirePassable(this.inputs);
  }

  abstract run(feeds: AnyTensorRecord, options: BackendRunOptions): Promise<Record<string, AnyTensor>>;

  dispose(): Promise<void> {
    return this.session.release();
  }
}

/** Returns `make()`, and releases the session if that throws, as for a model whose inputs are not tensors. */
export async function makeOrRelease<Model>(session: InferenceSession, make: () => Model): Promise<Model> {
  try {
    return make();
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** Describes an input or output; without a dtype if it is not a tensor, or of a dtype that sessions do not pass. */
export const toInfo = (metadata: InferenceSession.ValueMetadata): TensorInfo =>
  metadata.isTensor
    ? { name: metadata.name, dtype: dtypeOf(metadata.type), shape: metadata.shape }
    : { name: metadata.name, dtype: undefined, shape: undefined };

/** Returns a tensor of onnxruntime in the same memory. Its class takes no arrays of another realm; `tensor` does. */
export const toOrtTensor = (TensorClass: TensorType, value: AnyTensor): Tensor => {
  const { dtype, dims, data } = isStringTensor(value) ? value : tensor(value.dtype, value.dims, value.data);
  return new TensorClass(dtype as 'float32', data as Float32Array, dims);
};

export function fromOrtTensor({ type, dims, data }: Tensor): AnyTensor {
  const dtype = dtypeOf(type);
  if (dtype === undefined) throw new Error(`a session cannot return a tensor of ${type}`);
  if (dtype === 'string') return tensor(dtype, dims, data as string[]);
  const array = data as ElementArray;
  // An engine with Float16Array gets one from ONNX Runtime; this library returns the bits.
  const bits = dtype === 'float16' ? new Uint16Array(array.buffer, array.byteOffset, array.length) : array;
  return tensor(dtype, dims, bits);
}

const dtypeOf = (type: string): DType | 'string' | undefined =>
  [...DTYPES, 'string' as const].find((dtype) => dtype === type);
