/** The native provider as the backend `native-cpu` of onnxruntime-common. */
import { createRequire } from 'node:module';
import * as ortCommon from 'onnxruntime-common';
import type { Backend, InferenceSession, InferenceSessionHandler, OnnxValue } from 'onnxruntime-common';
import { ModelError, OptionError, SessionError } from '../errors.js';
import { printable } from '../printable.js';
import type { ElementArray, TensorData } from '../tensor.js';
import type { Session, TensorInfo, TensorRecord } from './core/contract.js';
import { UnsafeModelError } from './core/errors.js';
import { openSession } from './session/open.js';
import { loadAddon } from './native/addon.js';
import { describeProblems } from './core/providers.js';
import { type NativeBackend, nativeBackendWith } from './native/backend.js';
import { toBackendOptions, toNativeOptions } from './native/ort-options.js';
import { NODE } from './node.js';

type OrtOptions = InferenceSession.SessionOptions;
type OrtTensors = Record<string, OnnxValue>;

/** The part of onnxruntime-node, and of onnxruntime-common, that `native-cpu` uses. */
export interface OnnxRuntimeModule {
  /** Adds a backend to the execution providers that the module's sessions know. */
  registerBackend(name: string, backend: Backend, priority: number): void;
  /** Creates sessions, for models that `native-cpu` cannot run. */
  readonly InferenceSession: {
    create(model: string, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
}

/** A negative priority: only code that names `native-cpu` gets it. */
const PRIORITY = -1;

/**
 * Registers `native-cpu` with a copy of onnxruntime-node or onnxruntime-common, of version 1.19 or later. Needed where a
 * program has more than one copy: import the copy whose sessions the program creates, and give it here, before the
 * first session. The native kernel then runs on that copy's library. May be called again.
 * @throws OptionError `INVALID_OPTION` if `ort` is not such a module.
 */
export function registerNativeCpu(ort: OnnxRuntimeModule): void {
  if (typeof ort?.registerBackend !== 'function' || typeof ort.InferenceSession?.create !== 'function') {
    throw new OptionError(
      'INVALID_OPTION',
      "registerNativeCpu takes the module onnxruntime-node or onnxruntime-common: import * as ort from 'onnxruntime-node'",
    );
  }
  ort.registerBackend('native-cpu', backendFor(ort), PRIORITY);
}

/**
 * Returns the registries of backends that this package's own dependencies have: onnxruntime-common comes as an ES module
 * and as CommonJS, each with its own registry. Code that imports onnxruntime-common uses the first, onnxruntime-node the
 * second. Loads no native library, so that a program may load another version of it later.
 */
export function installedRegistries(): readonly OnnxRuntimeModule[] {
  const node = createRequire(import.meta.url).resolve('onnxruntime-node');
  const common = createRequire(node)('onnxruntime-common') as OnnxRuntimeModule;
  return [ortCommon, common];
}

/** A registry refuses a second backend of one name, and takes the same backend again. */
const backends = new WeakMap<object, Backend>();

function backendFor(ort: OnnxRuntimeModule): Backend {
  // onnxruntime-node exports the functions and classes of its onnxruntime-common.
  const registry = ort.InferenceSession;
  const backend = backends.get(registry) ?? nativeCpuFor(registry);
  backends.set(registry, backend);
  return backend;
}

const nativeCpuFor = (sessions: OnnxRuntimeModule['InferenceSession']): Backend => ({
  init() {
    const { problem } = loadAddon();
    if (problem === undefined) return Promise.resolve();
    const message = `native-cpu cannot be used: ${describeProblems([problem])}`;
    return Promise.reject(new SessionError('PROVIDER_UNAVAILABLE', message));
  },
  async createInferenceSessionHandler(model, options = {}) {
    const next = laterProviders(options);
    try {
      return await open(model, options);
    } catch (refusal) {
      if (next.length === 0 || !isRefusal(refusal)) throw refusal;
      warn(`native-cpu cannot run this model, and ${nameOf(next[0]!)} gets it: ${refusal.message}`);
      const all = { ...options, executionProviders: next };
      // The two `create`s are overloads.
      return new PassedOn(await sessions.create(model as string, all));
    }
  },
});

type OrtProviders = NonNullable<OrtOptions['executionProviders']>;

const nameOf = (provider: OrtProviders[number]): string =>
  typeof provider === 'string' ? provider : provider.name;

/**
 * Returns the execution providers that the caller lists behind `native-cpu`. onnxruntime-common shows a backend its own
 * providers alone when it reads the option, and leaves the caller's list in the property.
 */
function laterProviders(options: OrtOptions): OrtProviders {
  const property = Object.getOwnPropertyDescriptor(options, 'executionProviders');
  const listed = (property?.value ?? []) as OrtProviders;
  return listed.slice(listed.findIndex((provider) => nameOf(provider) === 'native-cpu') + 1);
}

/** Whether another provider may run the model after this error. A wrong option or path stays wrong, and harm stays harm. */
const isRefusal = (error: unknown): error is ModelError | SessionError =>
  error instanceof ModelError || (error instanceof SessionError && !(error instanceof UnsafeModelError));

const warn = (message: string): void =>
  process.emitWarning(printable(message), { code: 'ONNX_GROUPNORM_NATIVE_CPU' });

/** Opens a session of this project, which reads fewer models than ONNX Runtime does. */
async function open(model: string | Uint8Array, options: OrtOptions): Promise<Handler> {
  const backend = nativeBackendWith(toNativeOptions(options));
  if (options.freeDimensionOverrides) {
    warn(
      "native-cpu ignores freeDimensionOverrides, as onnxruntime-node does; createSession's option of that name works",
    );
  }
  let loaded: Awaited<ReturnType<NativeBackend['load']>> | undefined;
  const watched: NativeBackend = {
    ...backend,
    load: async (...args) => (loaded = await backend.load(...args)),
  };
  const platform = { ...NODE, backends: { native: [watched] } };
  try {
    const all = { providers: ['native'], ...toBackendOptions(options) } as const;
    const session = await requireNumbers(await openSession(platform, model, all));
    return new Handler(session, () => loaded!.endProfiling());
  } catch (cause) {
    if (!(cause instanceof ModelError && cause.code === 'MODEL_UNSUPPORTED')) throw cause;
    const remedy = "ONNX Runtime's own provider may take it: executionProviders: ['native-cpu', 'cpu']";
    throw new ModelError(cause.code, `native-cpu: ${cause.message}. ${remedy}`, { cause });
  }
}

/** @throws ModelError `MODEL_UNSUPPORTED` for an input or output of another kind. */
async function requireNumbers(session: Session): Promise<Session> {
  const other = [...session.inputs, ...session.outputs].find(
    ({ dtype }) => dtype === undefined || dtype === 'string',
  );
  if (!other) return session;
  await session.dispose();
  const is = other.dtype === 'string' ? 'holds strings, which cannot be passed' : 'is not a tensor';
  throw new ModelError('MODEL_UNSUPPORTED', `'${other.name}' ${is}; only tensors of numbers can be passed`);
}

class Handler implements InferenceSessionHandler {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly InferenceSession.ValueMetadata[];
  readonly outputMetadata: readonly InferenceSession.ValueMetadata[];

  readonly #ignored = new Set<string>();

  constructor(
    readonly session: Session,
    readonly endProfiling: () => void,
  ) {
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
    const results = await this.session.run(toOwnTensors(this.#known(feeds)), {
      outputs: toOwnTensors(Object.fromEntries(given)),
    });
    const wanted = Object.keys(fetches).map((name) => [name, toOrtTensor(results[name]!)]);
    return Object.fromEntries(wanted) as OrtTensors;
  }

  /** Returns the feeds of the model's inputs. onnxruntime-node ignores other feeds. */
  #known(feeds: OrtTensors): OrtTensors {
    const names = this.session.inputs.map(({ name }) => name);
    const known = Object.entries(feeds).filter(([name]) => names.includes(name));
    for (const name of Object.keys(feeds)) {
      if (names.includes(name) || this.#ignored.has(name)) continue;
      this.#ignored.add(name);
      warn(`native-cpu ignores the feed '${name}': the model's inputs are ${names.join(', ')}`);
    }
    return Object.fromEntries(known);
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  /** Does nothing: `enableProfiling` starts a profile with the session. */
  startProfiling(): void {}
}

/** The session of a later provider. */
class PassedOn implements InferenceSessionHandler {
  constructor(readonly session: InferenceSession) {}

  get inputNames(): readonly string[] {
    return this.session.inputNames;
  }
  get outputNames(): readonly string[] {
    return this.session.outputNames;
  }
  get inputMetadata(): readonly InferenceSession.ValueMetadata[] {
    return this.session.inputMetadata;
  }
  get outputMetadata(): readonly InferenceSession.ValueMetadata[] {
    return this.session.outputMetadata;
  }

  run(
    feeds: OrtTensors,
    fetches: Record<string, OnnxValue | null>,
    options: InferenceSession.RunOptions,
  ): Promise<OrtTensors> {
    return this.session.run(feeds, fetches, options);
  }

  dispose(): Promise<void> {
    return this.session.release();
  }

  startProfiling(): void {
    this.session.startProfiling();
  }

  endProfiling(): void {
    this.session.endProfiling();
  }
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
  return { dtype: type, dims, data: bits } as TensorData;
}

/** Returns the parts of which onnxruntime-common makes a Tensor. */
const toOrtTensor = ({ dtype, dims, data }: TensorData) => ({ type: dtype, data, dims });
