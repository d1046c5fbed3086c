/** The common part of onnxruntime-node and onnxruntime-web: a loaded model, and its tensors on the way in and out. */
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { ModelError } from '../../errors.js';
import { type DType, DTYPES, type ElementArray, tensor, type TensorData } from '../../tensor.js';
import type { LoadedModel, BackendRunOptions, TensorInfo, TensorRecord } from './contract.js';
import { withOpenRanks } from './tensors.js';

/** The Tensor class of a package: its `run` accepts no other. */
export type TensorType = typeof Tensor;

/** A model that one of the packages has loaded. */
export abstract class OrtModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];

  constructor(
    readonly session: InferenceSession,
    unranked: ReadonlySet<string>,
    describe: (metadata: InferenceSession.ValueMetadata) => TensorInfo = toInfo,
  ) {
    this.inputs = withOpenRanks(session.inputMetadata.map(describe), unranked);
    this.outputs = withOpenRanks(session.outputMetadata.map(describe), unranked);
  }

  abstract run(feeds: TensorRecord, options: BackendRunOptions): Promise<Record<string, TensorData>>;

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

/**
 * Describes an input or output.
 * @throws ModelError `MODEL_UNSUPPORTED` if it is not a tensor, or has a dtype that sessions do not pass.
 */
export function toInfo(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) {
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      `the model's input or output '${metadata.name}' is not a tensor; sessions pass only tensors`,
    );
  }
  return { name: metadata.name, dtype: requireDType(metadata.type), shape: metadata.shape };
}

export const toOrtTensor = (TensorClass: TensorType, { dtype, dims, data }: TensorData): Tensor =>
  new TensorClass(dtype as 'float32', data as Float32Array, dims);

export function fromOrtTensor({ type, dims, data }: Tensor): TensorData {
  const dtype = requireDType(type);
  const array = data as ElementArray;
  // An engine with Float16Array gets one from ONNX Runtime; this library returns the bits.
  const bits = dtype === 'float16' ? new Uint16Array(array.buffer, array.byteOffset, array.length) : array;
  return tensor(dtype, dims, bits);
}

function requireDType(type: string): DType {
  if ((DTYPES as readonly string[]).includes(type)) return type as DType;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    `sessions cannot pass tensors of dtype '${type}'; allowed: ${DTYPES.join(', ')}`,
  );
}
