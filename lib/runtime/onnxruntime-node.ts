/** ONNX Runtime through onnxruntime-node: its CPU provider. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { ModelError } from '../errors.js';
import { DTYPES, tensor, type DType, type ElementArray, type TensorData } from '../tensor.js';
import type { Backend, BackendOptions, LoadedModel, TensorInfo, TensorRecord } from './backend.js';

export const cpuBackend: Backend = {
  provider: 'cpu',
  async load(model, externalDataFolder, options) {
    // Loaded on first use, so that building and reading models needs no native library.
    const ort = await import('onnxruntime-node');
    const session = await ort.InferenceSession.create(model, sessionOptions(externalDataFolder, options));
    try {
      return new NodeModel(session, ort.Tensor);
    } catch (error) {
      await session.release();
      throw error;
    }
  },
};

function sessionOptions(
  externalDataFolder: string | undefined,
  { intraOpNumThreads, graphOptimizationLevel = 'all' }: BackendOptions,
): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel,
    // Errors arrive as exceptions; what the runtime would print besides is of no use to the caller.
    logSeverityLevel: 4,
    ...(intraOpNumThreads !== undefined && { intraOpNumThreads }),
    ...(externalDataFolder !== undefined && {
      extra: { session: { model_external_initializers_file_folder_path: externalDataFolder } },
    }),
  };
}

class NodeModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];

  constructor(
    readonly session: InferenceSession,
    readonly TensorType: typeof Tensor,
  ) {
    this.inputs = session.inputMetadata.map(toInfo);
    this.outputs = session.outputMetadata.map(toInfo);
  }

  async run(feeds: TensorRecord): Promise<Record<string, TensorData>> {
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([name, value]) => [name, this.#toRuntime(value)]),
    );
    const results = await this.session.run(inputs);
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromRuntime(value)]));
  }

  dispose(): Promise<void> {
    return this.session.release();
  }

  #toRuntime({ dtype, dims, data }: TensorData): Tensor {
    return new this.TensorType(dtype as 'float32', data as Float32Array, dims);
  }
}

function fromRuntime({ type, dims, data }: Tensor): TensorData {
  const dtype = requireDType(type);
  const array = data as ElementArray;
  // Where the engine has Float16Array, the runtime answers with it; here a float16 is its 16 bits.
  const bits = dtype === 'float16' ? new Uint16Array(array.buffer, array.byteOffset, array.length) : array;
  return tensor(dtype, dims, bits);
}

function toInfo(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) {
    throw new ModelError('MODEL_UNSUPPORTED', `'${metadata.name}' is no tensor; only tensors can be passed`);
  }
  return { name: metadata.name, dtype: requireDType(metadata.type), shape: metadata.shape };
}

function requireDType(type: string): DType {
  if ((DTYPES as readonly string[]).includes(type)) return type as DType;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    `dtype '${type}' cannot be passed; allowed: ${DTYPES.join(', ')}`,
  );
}
