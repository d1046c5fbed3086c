/** A loaded model as its callers see it. */
import { OptionError, SessionError } from '../errors.js';
import { castTensor } from '../half.js';
import { requireKnownOptions } from '../options.js';
import type { TensorData } from '../tensor.js';
import type { RunOptions, TensorInfo, TensorRecord } from './backend.js';
import { checkFeeds } from './feeds.js';
import type { OpenedModel } from './open-model.js';
import { checkOutputs } from './outputs.js';
import type { GroupNormExecution, PreparedModel } from './prepare.js';
import type { Provider, ProviderFallback } from './providers.js';
import { lacksWhatItTakes, typed } from './runtime-errors.js';
import type { Session } from './session.js';

const RUN_OPTIONS: readonly (keyof RunOptions)[] = ['signal', 'outputs'];

export class RuntimeSession implements Session {
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
