import { OptionError, SessionError } from '../errors.js';
import { castTensor } from '../half.js';
import { getSessionLowering, MAX_OPSET, type SessionLoweringName } from '../lowering/index.js';
import { requireKnownOptions } from '../options.js';
import type { TensorData } from '../tensor.js';
import {
  GRAPH_OPTIMIZATION_LEVELS,
  type BackendOptions,
  type RunOptions,
  type TensorInfo,
  type TensorRecord,
} from './backend.js';
import { checkFeeds } from './feeds.js';
import { openModel, type OpenedModel } from './open-model.js';
import { checkOutputs } from './outputs.js';
import type { Platform } from './platform.js';
import type { GroupNormExecution, PreparedModel } from './prepare.js';
import { requireProviders, type Provider, type ProviderFallback } from './providers.js';
import { lacksWhatItTakes, typed } from './runtime-errors.js';

/** How a model is loaded. */
export interface SessionOptions extends BackendOptions {
  /**
   * Execution providers in order of preference. One that cannot be used here, or that has no kernel for an operator
   * of the model, is passed over for the next. Default `['cpu']`, and `['wasm']` in a browser.
   */
  readonly providers?: readonly string[] | undefined;
  /** Whether to fail where the first of `providers` cannot run the model, rather than pass it over. Default false. */
  readonly strict?: boolean | undefined;
  /**
   * How GroupNormalization nodes run. Default: by the native kernel; where it is not there, rewritten before ONNX
   * Runtime, which has none of its own, sees them. `op` on `cpu` asks for ONNX Runtime's inlined body, which is
   * slow, and wrong for inputs whose mean is large against their deviation. InstanceNormalization and
   * LayerNormalization over rows of more than 1,024 elements, or of unknown length, are rewritten as well, because
   * ONNX Runtime sums a row in one float32; an operator that is asked for by name runs by ONNX Runtime's own kernel:
   * `instance-norm` and `layer-norm` leave the one of that name as it is, `op` both. `contrib-group-norm` is ONNX
   * Runtime's `com.microsoft.GroupNorm`, on `cuda` alone, for (N, C, H, W) of float32 or float16 with an even number
   * of at most 512 channels a group.
   */
  readonly groupNorm?: SessionLoweringName | undefined;
}

/** A loaded model. */
export interface Session {
  /** What {@link Session.run} takes, in the model's order. */
  readonly inputs: readonly TensorInfo[];
  /** What {@link Session.run} gives, in the model's order. */
  readonly outputs: readonly TensorInfo[];
  /**
   * The execution provider that runs it. Where it can give only a part of the model to a GPU, the first run shows
   * whether it gives any; if not, the next of the list takes over, and is named here from then on.
   */
  readonly provider: Provider;
  /** The providers that were asked for before that one, in their order, and why they do not run it. */
  readonly fallbacks: readonly ProviderFallback[];
  /**
   * How its GroupNormalization runs: by the kernel, or as what it was rewritten to; PyTorch's exports of it below opset
   * 21, and those that were inlined, among it. Nothing if it has none.
   */
  readonly groupNorm: GroupNormExecution | undefined;
  /**
   * Runs the model. With the native kernel the event loop stays free, and several runs may be under way at once;
   * their inputs are read where they lie, so leave them unchanged until the run has ended.
   * @param feeds One tensor for each input, of its dtype, rank and fixed dimensions. Data of float16 may be a
   *   Float16Array where the engine has it.
   * @returns Every output by name; float16 as its 16 bits.
   * @throws SessionError `INPUT_*` if the feeds do not fit, `OUTPUT_INVALID` if the given outputs do not,
   *   `RUN_FAILED` if the runtime fails, `ABORTED`, `DISPOSED`; OptionError.
   */
  run(feeds: TensorRecord, options?: RunOptions): Promise<Record<string, TensorData>>;
  /** Frees the model once what runs has ended. May be called again; `run` afterwards is an error. */
  dispose(): Promise<void>;
}

const SESSION_OPTIONS: readonly (keyof SessionOptions)[] = [
  'providers',
  'strict',
  'groupNorm',
  'intraOpNumThreads',
  'graphOptimizationLevel',
  'enableCpuMemArena',
  'profileFilePrefix',
];
const RUN_OPTIONS: readonly (keyof RunOptions)[] = ['signal', 'outputs'];

/** `createSession`, which says what it throws, on a platform. */
export async function openSession(
  platform: Platform,
  model: string | Uint8Array,
  options: SessionOptions,
): Promise<Session> {
  requireKnownOptions('createSession', options, SESSION_OPTIONS);
  const { providers: names = [platform.defaultProvider], strict = false, groupNorm, ...backend } = options;
  if (typeof strict !== 'boolean') {
    throw new OptionError(
      'INVALID_OPTION',
      `createSession: strict must be true or false, not ${String(strict)}`,
    );
  }
  requireBackendOptions(backend);
  if (groupNorm !== undefined) getSessionLowering(groupNorm, MAX_OPSET);
  const providers = requireProviders(names);
  requireModel(model);
  const source =
    typeof model === 'string'
      ? await platform.readModel(model)
      : { bytes: model, where: 'model', folder: undefined };
  const opened = await openModel(platform, source, { providers, strict, groupNorm, backend });
  return new RuntimeSession(opened);
}

/** What a runtime would take for a fault of the model, or as something else than it says. */
function requireBackendOptions({
  intraOpNumThreads: threads,
  graphOptimizationLevel: level,
}: BackendOptions): void {
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    const problem = `intraOpNumThreads must be an integer of at least 1, not ${String(threads)}`;
    throw new OptionError('INVALID_OPTION', `createSession: ${problem}`);
  }
  if (level === undefined || GRAPH_OPTIMIZATION_LEVELS.includes(level)) return;
  throw new OptionError(
    'INVALID_OPTION',
    `createSession: graphOptimizationLevel '${String(level)}' is unknown; known: ${GRAPH_OPTIMIZATION_LEVELS.join(', ')}`,
  );
}

function requireModel(model: unknown): void {
  if (typeof model === 'string' || model instanceof Uint8Array) return;
  const remedy = model instanceof ArrayBuffer ? ': new Uint8Array(buffer) makes one of it' : '';
  throw new OptionError(
    'INVALID_OPTION',
    `createSession takes a path or a Uint8Array, not ${Object.prototype.toString.call(model).slice(8, -1)}${remedy}`,
  );
}

class RuntimeSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #running = new Set<Promise<unknown>>();
  /** The parts of those that ONNX Runtime is at. */
  readonly #started = new Set<Promise<unknown>>();
  #opened: OpenedModel;
  #next: OpenedModel['next'];
  #disposed = false;

  constructor(opened: OpenedModel) {
    const { loaded, prepared } = opened;
    this.#opened = opened;
    this.#next = opened.next;
    const own = (info: TensorInfo): TensorInfo =>
      prepared.bfloat16.has(info.name) ? { ...info, dtype: 'bfloat16' } : info;
    this.inputs = loaded.inputs.map(own);
    this.outputs = loaded.outputs.map(own);
  }

  get provider(): Provider {
    return this.#opened.provider;
  }

  get fallbacks(): readonly ProviderFallback[] {
    return this.#opened.fallbacks;
  }

  get groupNorm(): GroupNormExecution | undefined {
    return this.#opened.prepared.groupNorm;
  }

  async run(feeds: TensorRecord, options: RunOptions = {}): Promise<Record<string, TensorData>> {
    if (this.#disposed) throw new SessionError('DISPOSED', 'this session was disposed of: create another');
    requireKnownOptions('run', options, RUN_OPTIONS);
    requireSignal(options.signal);
    const tensors = checkFeeds(this.inputs, feeds);
    const outputs = checkOutputs(this.outputs, options.outputs ?? {}, feeds);
    requireNotAborted(options.signal);
    const running = this.#runOn(this.#opened, tensors, { ...options, outputs });
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async dispose(): Promise<void> {
    const isFirst = !this.#disposed;
    this.#disposed = true;
    await Promise.allSettled(this.#running);
    if (isFirst) await this.#opened.loaded.dispose();
  }

  async #runOn(
    opened: OpenedModel,
    feeds: TensorRecord,
    options: RunOptions,
  ): Promise<Record<string, TensorData>> {
    try {
      const results = await this.#start(opened, feeds, options);
      // The provider has shown that it can: the model's bytes need not be kept for another.
      this.#next = undefined;
      return results;
    } catch (error) {
      if (!lacksWhatItTakes(error)) throw error;
      if (this.#opened === opened) await this.#moveOn(error);
      return await this.#runOn(this.#opened, feeds, options);
    }
  }

  /** To the next provider of the list. Several runs may find out at once: the first that is here moves. */
  async #moveOn(refusal: SessionError): Promise<void> {
    const from = this.#opened;
    if (!this.#next) throw refusal;
    const to = await this.#next(refusal);
    if (this.#opened !== from) return;
    this.#opened = to;
    this.#next = to.next;
    await Promise.allSettled(this.#started);
    await from.loaded.dispose();
  }

  async #start({ loaded, prepared }: OpenedModel, feeds: TensorRecord, options: RunOptions) {
    const started = typed('RUN_FAILED', 'ONNX Runtime could not run the model', () =>
      loaded.run(castBfloat16(prepared, feeds, 'float32'), options),
    );
    this.#started.add(started);
    try {
      return castBfloat16(prepared, await started, 'bfloat16');
    } finally {
      this.#started.delete(started);
      // A run that was told to end fails; one that was not in time has a result that nobody wants.
      requireNotAborted(options.signal);
    }
  }
}

/** To and from what stands for bfloat16 in the model, where the provider does not take it. */
function castBfloat16(
  { bfloat16 }: PreparedModel,
  tensors: TensorRecord,
  dtype: 'float32' | 'bfloat16',
): Record<string, TensorData> {
  if (bfloat16.size === 0) return tensors;
  const cast = ([name, value]: [string, TensorData]): [string, TensorData] => [
    name,
    bfloat16.has(name) ? castTensor(value, dtype) : value,
  ];
  return Object.fromEntries(Object.entries(tensors).map(cast));
}

function requireSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new OptionError('INVALID_OPTION', "run: 'signal' must be an AbortSignal");
}

function requireNotAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new SessionError('ABORTED', 'the run was aborted', { cause: signal.reason });
}
