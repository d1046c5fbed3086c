/** The native provider as the backend `native-cpu` of onnxruntime-common. */
import type { Backend, InferenceSession, InferenceSessionHandler, OnnxValue } from 'onnxruntime-common';
import { ModelError, SessionError } from '../errors.js';
import type { DType, ElementArray, TensorData } from '../tensor.js';
import type { Session, TensorInfo, TensorRecord } from './core/contract.js';
import { openSession } from './core/open.js';
import { describeProblems } from './core/providers.js';
import { loadAddon } from './native/addon.js';
import { nativeBackendWith } from './native/backend.js';
import { toBackendOptions, toNativeOptions } from './native/ort-options.js';
import { NODE } from './node.js';
import { loadOnnxRuntime } from './ort-node/load.js';

type OrtOptions = InferenceSession.SessionOptions;
type OrtTensors = Record<string, OnnxValue>;

/** A negative priority: only code that names `native-cpu` gets it. */
const PRIORITY = -1;

/**
 * Registers `native-cpu` with onnxruntime-common, which comes as an ES module and as CommonJS, each with its own
 * registry: code that imports onnxruntime-common uses the first, onnxruntime-node the second.
 * @throws SessionError `PROVIDER_UNAVAILABLE` if onnxruntime-node cannot be loaded.
 */
export async function registerNativeCpu(): Promise<void> {
  const { ort, problem } = await loadOnnxRuntime();
  if (!ort) throw new SessionError('PROVIDER_UNAVAILABLE', `native-cpu: ${describeProblems([problem])}`);
  for (const registry of [await import('onnxruntime-common'), ort]) {
    registry.registerBackend('native-cpu', nativeCpu, PRIORITY);
  }
}

const nativeCpu: Backend = {
  init() {
    const { problem } = loadAddon();
    if (problem === undefined) return Promise.resolve();
    const message = `native-cpu cannot be used: ${describeProblems([problem])}`;
    return Promise.reject(new SessionError('PROVIDER_UNAVAILABLE', message));
  },
  async createInferenceSessionHandler(model, options = {}) {
    return new Handler(await open(model, options));
  },
};

/** Opens a session of this project, which reads fewer models than ONNX Runtime does. */
async function open(model: string | Uint8Array, options: OrtOptions): Promise<Session> {
  const backend = nativeBackendWith(toNativeOptions(options));
  const platform = { ...NODE, backends: { native: [backend] } };
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
    // ONNX Runtime's own backends list required inputs only, and its API demands each input that is listed.
    const required = session.inputs.filter(({ optional }) => !optional);
    this.inputMetadata = required.map(toMetadata);
    this.outputMetadata = session.outputs.map(toMetadata);
    this.inputNames = required.map(({ name }) => name);
    this.outputNames = session.outputs.map(({ name }) => name);
  }

  /** @param fetches The wanted outputs by name: the tensor to write into, or null. */
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

  /** `enableProfiling` starts a profile with the session, and `release` writes it: these two do nothing. */
  startProfiling(): void {}
  endProfiling(): void {}
}

const toMetadata = ({ name, dtype, shape }: TensorInfo): InferenceSession.ValueMetadata => ({
  name,
  isTensor: true,
  type: dtype as 'float32',
  // ONNX Runtime's own backends describe a tensor of any rank like this.
  shape: shape ?? [],
});

const toOwnTensors = (tensors: OrtTensors): TensorRecord =>
  Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, toOwnTensor(value)]));

function toOwnTensor({ type, dims, data }: OnnxValue): TensorData {
  const array = data as ElementArray;
  // The caller's data may be a Float16Array; this library passes the bits.
  const bits = type === 'float16' ? new Uint16Array(array.buffer, array.byteOffset, array.length) : array;
  return { dtype: type as DType, dims, data: bits };
}

/** Returns the parts of which onnxruntime-common makes a Tensor. */
const toOrtTensor = ({ dtype, dims, data }: TensorData) => ({ type: dtype, data, dims });
