import { dirname, resolve } from 'node:path';
import { OnnxGroupNormError, SessionError } from '../errors.js';
import { readFileBytes } from '../files/read.js';
import { castTensor } from '../half.js';
import { getLowering, MAX_OPSET, type LoweringName } from '../lowering/index.js';
import { requireKnownOptions } from '../options.js';
import type { TensorData } from '../tensor.js';
import type { Backend, BackendOptions, LoadedModel, TensorInfo, TensorRecord } from './backend.js';
import { checkFeeds } from './feeds.js';
import { cpuBackend } from './onnxruntime-node.js';
import { prepareModel } from './prepare.js';
import { requireProvider, type Provider } from './providers.js';

/** How a model is loaded. */
export interface SessionOptions extends BackendOptions {
  /** Execution providers in order of preference. Default `['cpu']`. */
  readonly providers?: readonly string[] | undefined;
  /**
   * How GroupNormalization nodes run. ONNX Runtime has no kernel for the operator: by default it is rewritten
   * before the runtime sees it. `op` asks for ONNX Runtime's inlined body, which is slow, and wrong for inputs
   * whose mean is large against their deviation.
   */
  readonly groupNorm?: LoweringName | undefined;
}

/** A loaded model. */
export interface Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** The execution provider that runs it. */
  readonly provider: Provider;
  /** How its GroupNormalization nodes were rewritten, if it had any. */
  readonly groupNorm: LoweringName | undefined;
  /**
   * Runs the model.
   * @param feeds One tensor for each input, of its dtype, rank and fixed dimensions.
   * @returns Every output by name.
   * @throws SessionError `INPUT_*` if the feeds do not fit, `RUN_FAILED` if the runtime fails, `DISPOSED`.
   */
  run(feeds: TensorRecord): Promise<Record<string, TensorData>>;
  /** Frees the model once what runs has ended. May be called again; `run` afterwards is an error. */
  dispose(): Promise<void>;
}

const SESSION_OPTIONS: readonly (keyof SessionOptions)[] = [
  'providers',
  'groupNorm',
  'intraOpNumThreads',
  'graphOptimizationLevel',
];

const BACKENDS: Record<Provider, Backend> = { cpu: cpuBackend };

/**
 * Loads a model into ONNX Runtime.
 * @param model Path of an `.onnx` file, or its bytes.
 * @throws FileError if it cannot be read, ModelError if it is no model, OptionError, GraphError
 *   `UNKNOWN_LOWERING`, SessionError
 *   `UNKNOWN_PROVIDER` or `MODEL_REJECTED`, with the runtime's own error as `cause`.
 */
export async function createSession(
  model: string | Uint8Array,
  options: SessionOptions = {},
): Promise<Session> {
  requireKnownOptions('createSession', options, SESSION_OPTIONS);
  const { providers = ['cpu'], groupNorm, ...backendOptions } = options;
  if (!Array.isArray(providers)) {
    throw new SessionError(
      'UNKNOWN_PROVIDER',
      `providers must be a list, such as ['cpu'], not ${String(providers)}`,
    );
  }
  const [provider] = providers.map(requireProvider);
  if (groupNorm !== undefined) getLowering(groupNorm, MAX_OPSET);
  if (!provider) throw new SessionError('UNKNOWN_PROVIDER', 'providers is empty: name at least one');
  const isPath = typeof model === 'string';
  const where = isPath ? model : 'model';
  const folder = isPath ? dirname(resolve(model)) : undefined;
  const bytes = isPath ? await readFileBytes(model) : model;
  const prepared = prepareModel(bytes, where, folder, groupNorm);
  const loaded = await typed('MODEL_REJECTED', `${where}: ONNX Runtime refuses this model`, () =>
    BACKENDS[provider].load(prepared.bytes, folder, backendOptions),
  );
  return new RuntimeSession(loaded, provider, prepared.bfloat16, prepared.groupNorm);
}

class RuntimeSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #running = new Set<Promise<unknown>>();
  #loaded: LoadedModel | undefined;

  constructor(
    loaded: LoadedModel,
    readonly provider: Provider,
    private readonly bfloat16: ReadonlySet<string>,
    readonly groupNorm: LoweringName | undefined,
  ) {
    const own = (info: TensorInfo): TensorInfo =>
      bfloat16.has(info.name) ? { ...info, dtype: 'bfloat16' } : info;
    this.#loaded = loaded;
    this.inputs = loaded.inputs.map(own);
    this.outputs = loaded.outputs.map(own);
  }

  async run(feeds: TensorRecord): Promise<Record<string, TensorData>> {
    const loaded = this.#loaded;
    if (!loaded) throw new SessionError('DISPOSED', 'this session was disposed of: create another');
    checkFeeds(this.inputs, feeds);
    const running = typed('RUN_FAILED', 'ONNX Runtime could not run the model', () =>
      loaded.run(this.#castBfloat16(feeds, 'float32')),
    );
    this.#running.add(running);
    try {
      return this.#castBfloat16(await running, 'bfloat16');
    } finally {
      this.#running.delete(running);
    }
  }

  async dispose(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    await Promise.allSettled(this.#running);
    await loaded?.dispose();
  }

  #castBfloat16(tensors: TensorRecord, dtype: 'float32' | 'bfloat16'): Record<string, TensorData> {
    if (this.bfloat16.size === 0) return tensors;
    const cast = ([name, value]: [string, TensorData]): [string, TensorData] => [
      name,
      this.bfloat16.has(name) ? castTensor(value, dtype) : value,
    ];
    return Object.fromEntries(Object.entries(tensors).map(cast));
  }
}

/** Gives the runtime's own errors their type; errors that already have one pass through. */
async function typed<T>(
  code: 'MODEL_REJECTED' | 'RUN_FAILED',
  what: string,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof OnnxGroupNormError) throw cause;
    throw new SessionError(code, `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
