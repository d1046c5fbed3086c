/** ONNX Runtime through the project's own addon, which gives it a kernel for GroupNormalization. */
import { SessionError } from '../../errors.js';
import { dtypeFromOnnx, ONNX_DTYPE } from '../../graph/types.js';
import {
  type AnyTensor,
  bytesPerElement,
  type DType,
  elementCount,
  isStringTensor,
  type TensorData,
  tensorFromBytes,
} from '../../tensor.js';
import type {
  AnyTensorRecord,
  Backend,
  BackendOptions,
  LoadedLayout,
  LoadedModel,
  ModelToLoad,
  BackendRunOptions,
  TensorInfo,
} from '../core/contract.js';
import { EXECUTION_MODES } from '../core/contract.js';
import { describeProblems } from '../core/providers.js';
import { copyInto, requireAttached, requirePassable, withOpenRanks } from '../core/tensors.js';
import { configEntries } from '../core/session-options.js';
import { withoutOptimizers } from '../core/workarounds.js';
import {
  type Addon,
  type AddonResult,
  type AddonSession,
  type AddonSessionOptions,
  type AddonTensor,
  type AddonValueInfo,
  loadAddon,
} from './addon.js';
import { loadInLayout, type SessionInLayout } from './layout.js';

/** What of ONNX Runtime's session options only its own interface has. */
export type NativeOptions = Partial<
  Omit<
    AddonSessionOptions,
    'intraOpNumThreads' | 'graphOptimizationLevel' | 'enableCpuMemArena' | 'profilePrefix'
  >
>;

/** The native backend, which says more about its models than other backends. */
export interface NativeBackend extends Backend {
  load(...args: Parameters<Backend['load']>): Promise<NativeModel>;
}

export const nativeBackendWith = (more: NativeOptions): NativeBackend => ({
  provider: 'native',
  hasGroupNormKernel: true,
  takesBfloat16: true,
  ...(more.externalFiles && { hasFile: (name: string) => Object.hasOwn(more.externalFiles!, name) }),
  takesOptionalInputs: true,
  whyUnavailable() {
    const { problem } = loadAddon();
    return Promise.resolve(problem ? [problem] : []);
  },
  async load(model, externalDataFolder, options) {
    const { addon, problem } = loadAddon();
    if (!addon) {
      const why = describeProblems([problem]);
      throw new SessionError('PROVIDER_UNAVAILABLE', `the native kernel cannot be used: ${why}`);
    }
    const all = { ...DEFAULTS, ...more, ...toAddonOptions(options) };
    const config = withoutOptimizers(
      { ...all.config, ...configEntries(options), ...folderEntry(externalDataFolder) },
      model.wrongOptimizers,
    );
    const { layout = 'auto' } = options;
    const loaded = await loadInLayout(addon, model, externalDataFolder, { ...all, config }, layout);
    return new NativeModel(addon, loaded, model);
  },
});

export const nativeBackend = nativeBackendWith({});

const DEFAULTS: Required<NativeOptions> = {
  interOpNumThreads: 0,
  executionMode: 0,
  enableMemPattern: true,
  // Errors are thrown; what the runtime would print besides is of no use to the caller.
  logSeverityLevel: 4,
  optimizedModelPath: '',
  freeDimensions: {},
  config: {},
  externalFiles: {},
};

/** GraphOptimizationLevel of ONNX Runtime's C interface. */
const OPTIMIZATION_LEVEL = { disabled: 0, basic: 1, extended: 2, all: 99 } as const;

/** Returns the options for the addon; those that `NativeOptions` has too are absent where the caller does not ask. */
const toAddonOptions = (
  options: BackendOptions,
): NativeOptions & Omit<AddonSessionOptions, keyof NativeOptions> => ({
  ...(options.interOpNumThreads !== undefined && { interOpNumThreads: options.interOpNumThreads }),
  ...(options.executionMode !== undefined && {
    executionMode: EXECUTION_MODES.indexOf(options.executionMode),
  }),
  ...(options.freeDimensionOverrides && { freeDimensions: options.freeDimensionOverrides }),
  intraOpNumThreads: options.intraOpNumThreads ?? 0,
  graphOptimizationLevel: OPTIMIZATION_LEVEL[options.graphOptimizationLevel ?? 'all'],
  enableCpuMemArena: options.enableCpuMemArena ?? true,
  profilePrefix: options.profileFilePrefix ?? '',
});

const folderEntry = (folder: string | undefined): Record<string, string> =>
  folder === undefined ? {} : { 'session.model_external_initializers_file_folder_path': folder };

/** A model that the addon has loaded. */
class NativeModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly session: AddonSession;
  readonly inLayout: LoadedLayout;

  constructor(
    readonly addon: Addon,
    { session, described, layout, layoutReason }: SessionInLayout,
    model: ModelToLoad,
  ) {
    this.session = session;
    this.inLayout = { layout, layoutReason };
    this.inputs = withOpenRanks(described.inputs.map(toInfo), model.unranked);
    this.outputs = withOpenRanks(described.outputs.map(toInfo), model.unranked);
    requirePassable(this.inputs);
  }

  async run(feeds: AnyTensorRecord, options: BackendRunOptions): Promise<Record<string, TensorData>> {
    const { signal, fetches: names, outputs = {}, sync = false } = options;
    const inputNames = Object.keys(feeds);
    const inputs = inputNames.map((name) => toAddon(requireNumbers(name, feeds[name]!)));
    for (const name of names) this.#requireNumbers(name);
    const given = names.map((name) => (Object.hasOwn(outputs, name) ? outputs[name] : undefined));
    const run: Run = { session: this.session, id: nextId() };
    const result = this.session.run(
      inputNames,
      inputs,
      names,
      given.map((value) => value && toAddon(value)),
      run.id,
      sync,
    );
    // A synchronous run has ended here.
    const results = await (sync ? result : untilAborted(run, result, signal));
    try {
      return Object.fromEntries(names.map((name, i) => [name, this.#resultOf(name, given[i], results[i])]));
    } catch (error) {
      for (const result of results) if (result) this.addon.release(result.data);
      throw error;
    }
  }

  /** @param result `undefined` where it was written into the given tensor. */
  #resultOf(name: string, given: TensorData | undefined, result: AddonResult | undefined): TensorData {
    if (!result) {
      requireAttached(name, given!);
      return given!;
    }
    if (!given) return fromAddon(result);
    try {
      return copyInto(name, given, fromAddon(result));
    } finally {
      this.addon.release(result.data);
    }
  }

  #requireNumbers(name: string): void {
    if (this.outputs.find((info) => info.name === name)?.dtype === 'string') throw noTexts(name);
  }

  allocate(dtype: DType, dims: readonly number[]): TensorData {
    const bytes = elementCount(dims) * bytesPerElement(dtype);
    if (!Number.isSafeInteger(bytes)) throw new RangeError(`${bytes} bytes`);
    return tensorFromBytes(dtype, dims, new Uint8Array(this.addon.allocate(bytes)));
  }

  release(tensors: readonly TensorData[]): void {
    for (const { data } of tensors) this.addon.release(data.buffer as ArrayBuffer);
  }

  /** Writes the profile now, if the options asked for one. */
  endProfiling(): void {
    this.session.endProfiling();
  }

  dispose(): Promise<void> {
    this.session.dispose();
    return Promise.resolve();
  }
}

/** A run under way. */
interface Run {
  readonly session: AddonSession;
  readonly id: number;
}

let lastId = 0;
const nextId = (): number => (lastId = (lastId + 1) % 2 ** 32);

const underWay = new Set<Run>();

const terminate = ({ session, id }: Run): void => session.terminate(id);

/** A process that exits waits for its runs. Node calls no cleanup hook of an addon before that, but this event. */
const endRuns = (): void => underWay.forEach(terminate);

function begin(run: Run): void {
  if (underWay.size === 0) process.on('exit', endRuns);
  underWay.add(run);
}

function end(run: Run): void {
  underWay.delete(run);
  if (underWay.size === 0) process.off('exit', endRuns);
}

async function untilAborted<T>(run: Run, result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const abort = () => terminate(run);
  begin(run);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await result;
  } finally {
    signal?.removeEventListener('abort', abort);
    end(run);
  }
}

const toAddon = ({ dtype, dims, data }: TensorData): AddonTensor => ({ type: ONNX_DTYPE[dtype], dims, data });

function fromAddon({ type, dims, data }: AddonResult): TensorData {
  return tensorFromBytes(dtypeFromOnnx(type)!, dims, new Uint8Array(data));
}

function requireNumbers(name: string, value: AnyTensor): TensorData {
  if (isStringTensor(value)) throw noTexts(name);
  return value;
}

const noTexts = (name: string): SessionError =>
  new SessionError(
    'PROVIDER_UNAVAILABLE',
    `'${name}' holds texts, which the native kernel does not pass; the provider 'cpu' (in a worker thread with ` +
      "allowInWorker) runs the model without the kernel, and so does 'wasm'",
  );

/** Source: ONNXTensorElementDataType of ONNX Runtime's C interface. */
const STRING = 8;

const toInfo = ({ name, type, shape }: AddonValueInfo): TensorInfo => ({
  name,
  dtype: type === STRING ? 'string' : dtypeFromOnnx(type),
  shape,
});
