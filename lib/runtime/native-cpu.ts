/** The native provider as a backend of onnxruntime-common, `native-cpu`. */
import type { Backend, InferenceSession, InferenceSessionHandler, OnnxValue } from 'onnxruntime-common';
import { ModelError, SessionError } from '../errors.js';
import type { DType, ElementArray, TensorData } from '../tensor.js';
import { firstUsable, type Session, type TensorInfo, type TensorRecord } from './core/contract.js';
import { openSession } from './core/open.js';
import { loadAddon } from './native/addon.js';
import { nativeBackendWith } from './native/backend.js';
import { toBackendOptions, toNativeOptions } from './native/ort-options.js';
import { NODE } from './node.js';

type OrtOptions = InferenceSession.SessionOptions;
type OrtTensors = Record<string, OnnxValue>;

/** Negative: it runs what asks for it by name, and is nobody's default. */
const PRIORITY = -1;

/**
 * Registers `native-cpu`. onnxruntime-common comes as an ES module and as CommonJS, each with a registry of its
 * own: code that imports it asks the first, onnxruntime-node the second.
 */
export async function registerNativeCpu(): Promise<void> {
  for (const ort of [await import('onnxruntime-common'), await import('onnxruntime-node')]) {
    ort.registerBackend('native-cpu', nativeCpu, PRIORITY);
  }
}

const nativeCpu: Backend = {
  init() {
    const { reason } = loadAddon();
    if (reason === undefined) return Promise.resolve();
    return Promise.reject(new SessionError('PROVIDER_UNAVAILABLE', `native-cpu cannot be used: ${reason}`));
  },
  async createInferenceSessionHandler(model, options = {}) {
    return new Handler(await open(model, options));
  },
};

/** Its sessions are this project's, which take tensors of numbers, of models that their rewrites can read. */
async function open(model: string | Uint8Array, options: OrtOptions): Promise<Session> {
  const backend = nativeBackendWith(toNativeOptions(options));
  const platform = { ...NODE, chooseBackend: () => firstUsable([backend]) };
  try {
    return await openSession(platform, model, { providers: ['native'], ...toBackendOptions(options) });
  } catch (cause) {
    if (!(cause instanceof ModelError && cause.code === 'MODEL_UNSUPPORTED')) throw cause;
    const remedy = "ONNX Runtime's own provider may take it: executionProviders: ['cpu']";
    throw new ModelError(cause.code, `native-cpu: ${cause.message}. ${remedy}`, { cause });
  }
}

class Handler implements InferenceSessionHandler {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly InferenceSession.ValueMetadata[];
  readonly outputMetadata: readonly InferenceSession.ValueMetadata[];

  constructor(readonly session: Session) {
    this.inputMetadata = session.inputs.map(toMetadata);
    this.outputMetadata = session.outputs.map(toMetadata);
    this.inputNames = session.inputs.map(({ name }) => name);
    this.outputNames = session.outputs.map(({ name }) => name);
  }

  /** @param fetches The outputs that are wanted; null, or the tensor to write into. */
  async run(feeds: OrtTensors, fetches: Record<string, OnnxValue | null>): Promise<OrtTensors> {
    const given = Object.entries(fetches).filter((entry): entry is [string, OnnxValue] => entry[1] !== null);
    const results = await this.session.run(toOwnTensors(feeds), {
      outputs: toOwnTensors(Object.fromEntries(given)),
    });
    const wanted = Object.keys(fetches).map((name) => [name, toOrtTensor(results[name]!)]);
    return Object.fromEntries(wanted) as OrtTensors;
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  /** A profile is begun with the session, by `enableProfiling`, and written when it is released. */
  startProfiling(): void {}
  endProfiling(): void {}
}

const toMetadata = ({ name, dtype, shape }: TensorInfo): InferenceSession.ValueMetadata => ({
  name,
  isTensor: true,
  type: dtype as 'float32',
  // As ONNX Runtime's own backends describe a tensor of any rank.
  shape: shape ?? [],
});

const toOwnTensors = (tensors: OrtTensors): TensorRecord =>
  Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, toOwnTensor(value)]));

function toOwnTensor({ type, dims, data }: OnnxValue): TensorData {
  const array = data as ElementArray;
  // Where the engine has Float16Array, it may be one; here a float16 is its 16 bits.
  const bits = type === 'float16' ? new Uint16Array(array.buffer, array.byteOffset, array.length) : array;
  return { dtype: type as DType, dims, data: bits };
}

/** What onnxruntime-common makes a Tensor of its own of. */
const toOrtTensor = ({ dtype, dims, data }: TensorData) => ({ type: dtype, data, dims });
