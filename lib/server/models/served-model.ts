/** One version of a model at work: its session, its batcher and its statistics. */
import { availableParallelism } from 'node:os';
import { OptionError } from '../../errors.js';
import type {
  AllocatedTensor,
  AnyTensorRecord,
  Feeds,
  GroupNormExecution,
  Provider,
  ProviderFallback,
  Session,
  SessionOptions,
  TensorInfo,
} from '../../runtime/core/contract.js';
import { createSession } from '../../runtime/node.js';
import type { DType, TensorData } from '../../tensor.js';
import { whyNotBatchable } from '../batching/batchable.js';
import {
  type Batch,
  type Batcher,
  type BatcherOptions,
  type BatcherResult,
  type BatcherRunOptions,
  createBatcher,
} from '../batching/batcher.js';
import { whyNotJoined } from './mixing-operators.js';
import { failureReason, type ModelStatistics, type RequestEnd, StatisticsCollector } from './statistics.js';

/** How a model is served. */
export interface ServingOptions extends Omit<BatcherOptions, 'onBatch'> {
  /** Threads that all instances of the model use together. Default: ONNX Runtime's for one instance, one per core for several. */
  readonly threads?: number | undefined;
  /** Whether a request may shorten `queueTimeout` for itself. Default true. */
  readonly allowRequestTimeout?: boolean | undefined;
  /** How the model is loaded. */
  readonly session?: SessionOptions | undefined;
}

/** What is told of the requests and runs of models as they end, for metrics. */
export interface ServingEvents {
  /** Called when a request has ended, also if it was refused. */
  readonly onRequest?: ((model: ServedModel, end: RequestEnd) => void) | undefined;
  /** Called after each run of a model. */
  readonly onBatch?: ((model: ServedModel, batch: Batch) => void) | undefined;
}

/** A version of a model that is loaded and takes requests. */
export class ServedModel {
  /** The name of the model. */
  readonly name: string;
  /** The number of the version, as text. */
  readonly version: string;
  readonly #session: Session;
  readonly #batcher: Batcher;
  readonly #statistics = new StatisticsCollector();
  readonly #events: ServingEvents;
  readonly #notJoined: string | undefined;
  readonly #uses = new Set<Promise<unknown>>();

  /**
   * Loads a model.
   * @param mustBatch Whether to refuse a model that takes no batches though `maxBatchSize` is given; otherwise it is served without
   *   batches.
   * @throws What `createSession` and `createBatcher` throw.
   */
  static async load(
    identity: { readonly name: string; readonly version: string },
    path: string,
    options: ServingOptions,
    mustBatch: boolean,
    events: ServingEvents,
  ): Promise<ServedModel> {
    const session = await createSession(path, {
      ...threadOptions(options),
      ...options.session,
    });
    try {
      const { maxBatchSize = 1, preferredBatchSizes = [maxBatchSize] } = options;
      const joins = Math.max(...preferredBatchSizes) > 1;
      const reason = joins ? await whyNotJoined(path) : undefined;
      return new ServedModel(identity, session, options, mustBatch, reason, events);
    } catch (error) {
      await session.dispose();
      throw error;
    }
  }

  private constructor(
    { name, version }: { readonly name: string; readonly version: string },
    session: Session,
    /** How it is served: its configuration, and the server's options where that says nothing. */
    readonly options: ServingOptions,
    mustBatch: boolean,
    mustNotJoin: string | undefined,
    events: ServingEvents,
  ) {
    this.name = name;
    this.version = version;
    const { maxBatchSize, maxQueueDelay, preferredBatchSizes, maxQueueSize, queueTimeout, instances } =
      options;
    const cannotBatch = maxBatchSize === undefined || mustBatch ? undefined : whyNotBatchable(session);
    this.#notJoined = cannotBatch ?? mustNotJoin;
    const sizes = mustNotJoin === undefined ? preferredBatchSizes : [1];
    const batching =
      cannotBatch === undefined ? { maxBatchSize, maxQueueDelay, preferredBatchSizes: sizes } : {};
    this.#session = session;
    this.#events = events;
    this.#batcher = createBatcher(session, {
      ...batching,
      maxQueueSize,
      queueTimeout,
      instances,
      onBatch: (batch) => {
        this.#statistics.batch(batch);
        events.onBatch?.(this, batch);
      },
    });
  }

  /** The tensors that a request has. */
  get inputs(): readonly TensorInfo[] {
    return this.#session.inputs;
  }

  /** The tensors that an answer has. */
  get outputs(): readonly TensorInfo[] {
    return this.#session.outputs;
  }

  /** The execution provider that runs the model. */
  get provider(): Provider {
    return this.#session.provider;
  }

  /** The providers that do not run the model, and why. */
  get fallbacks(): readonly ProviderFallback[] {
    return this.#session.fallbacks;
  }

  /** How GroupNormalization runs. */
  get groupNorm(): GroupNormExecution | undefined {
    return this.#session.groupNorm;
  }

  /** The most samples of a request; `undefined` if the model is served without batches. */
  get maxBatchSize(): number | undefined {
    return this.#batcher.maxBatchSize;
  }

  /** Why requests are not joined though the options ask for it; `undefined` if they are. */
  get notJoined(): string | undefined {
    return this.#notJoined ?? this.#batcher.notJoined;
  }

  /** The number of requests that wait for a run. */
  get pending(): number {
    return this.#batcher.pending;
  }

  /** What the model has done since it was loaded. */
  get statistics(): ModelStatistics {
    return this.#statistics.snapshot();
  }

  /** Returns a tensor of zeros that a run reads without a copy, as `session.allocate`. */
  allocate<D extends DType>(dtype: D, dims: readonly number[]): AllocatedTensor<D> {
    return this.#session.allocate(dtype, dims);
  }

  /** Runs the model as `batcher.run`, and counts the request. */
  async run<Outputs extends AnyTensorRecord = Record<string, TensorData>>(
    feeds: Feeds,
    options: BatcherRunOptions = {},
  ): Promise<BatcherResult<Outputs>> {
    const begin = performance.now();
    const { allowRequestTimeout = true } = this.options;
    try {
      const given = allowRequestTimeout ? options : { ...options, queueTimeout: undefined };
      const result = await this.#batcher.run(feeds, given);
      this.#count({
        reason: undefined,
        duration: performance.now() - begin,
        result,
      });
      return result as unknown as BatcherResult<Outputs>;
    } catch (error) {
      this.countFailure(error, performance.now() - begin);
      throw error;
    }
  }

  /**
   * Counts a request that failed before it came to `run`.
   * @param duration Milliseconds.
   */
  countFailure(error: unknown, duration: number): void {
    this.#count({ reason: failureReason(error), duration });
  }

  #count(end: RequestEnd): void {
    this.#statistics.request(end);
    this.#events.onRequest?.(this, end);
  }

  /** Calls `action`, and keeps the model from ending until its promise has settled: from reading a request to its answer. */
  async use<Result>(action: (model: this) => Promise<Result>): Promise<Result> {
    const use = action(this);
    this.#uses.add(use);
    try {
      return await use;
    } finally {
      this.#uses.delete(use);
    }
  }

  /** Waits until no request uses the model, and frees it. */
  async end(): Promise<void> {
    while (this.#uses.size > 0) await Promise.allSettled(this.#uses);
    await this.#batcher.drain();
    await this.#batcher.dispose();
    await this.#session.dispose();
  }
}

/**
 * Runs of one session share its threads, and each brings a thread of its own. So the instances and the threads that they share
 * come to the number that the model may use, and the weights are in memory once.
 */
function threadOptions({ threads, instances = 1 }: ServingOptions): SessionOptions {
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    throw new OptionError(
      'INVALID_OPTION',
      `threads must be an integer of at least 1, not ${String(threads)}`,
    );
  }
  if (threads === undefined && instances === 1) return {};
  return {
    intraOpNumThreads: Math.max(1, (threads ?? availableParallelism()) - instances + 1),
  };
}
