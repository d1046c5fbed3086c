/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Runs a model for many callers at once: requests wait in a queue, and those that fit together run as one batch. It knows
 * neither HTTP nor files.
 */
import { endsBy } from '../../disposal.js';
import { ServerError, SessionError } from '../../errors.js';
import { formatDuration, plural } from '../../quantities.js';
import type { AnyTensorRecord, Feeds, RunResults } from '../../runtime/core/contract.js';
import type { TensorData } from '../../tensor.js';
import { checkRequest, QueuedRequest } from './request.js';
import { type BatchedSession, BatchRunner } from './runner.js';
import { Staging } from './tensors.js';
import { whyNotBatchable } from './batchable.js';
import { type CheckedBatcherOptions, requireBatcherOptions, requireRunOptions } from './options.js';

/** How a batcher queues and joins requests. */
export interface BatcherOptions {
  /**
   * The most samples (rows of the first dimension) of a run, and so of a request. Requests are joined up to this size. Default:
   * requests are not joined, and have any number of samples.
   */
  readonly maxBatchSize?: number | undefined;
  /**
   * How long a request may wait for others to join, in milliseconds, counted from the oldest request of the queue. Default 0: an
   * idle instance takes at once what is queued.
   */
  readonly maxQueueDelay?: number | undefined;
  /**
   * Numbers of samples that run well. The largest limits how many samples are joined; a batch of one of these sizes does not
   * wait for more. Default: `maxBatchSize` alone.
   */
  readonly preferredBatchSizes?: readonly number[] | undefined;
  /** The most requests that wait; more are refused with `QUEUE_FULL`. Default 1024. */
  readonly maxQueueSize?: number | undefined;
  /** How long a request may wait for its run to begin, in milliseconds; then it fails with `QUEUE_TIMEOUT`. Default: any time. */
  readonly queueTimeout?: number | undefined;
  /** How many runs of the session may be in progress at once. Default 1. */
  readonly instances?: number | undefined;
  /** Called after each run of the model. */
  readonly onBatch?: ((batch: Batch) => void) | undefined;
}

/** The options of one request. */
export interface BatcherRunOptions {
  /** The names of the outputs to return, at least one. Default: every output. */
  readonly fetches?: readonly string[] | undefined;
  /**
   * Drops the request when it is aborted: from the queue, so that it never runs, or from its batch. A run ends early when
   * all of its requests are aborted.
   */
  readonly signal?: AbortSignal | undefined;
  /** A shorter `queueTimeout` for this request, in milliseconds. */
  readonly queueTimeout?: number | undefined;
}

/** Where the time of a request went, in milliseconds. */
export interface RequestTimings {
  /** From the call of `run` until the run of the model began. */
  readonly queue: number;
  /** To put the inputs of the batch together. */
  readonly computeInput: number;
  /** For the run of the model. */
  readonly computeInfer: number;
  /** To take the results apart. */
  readonly computeOutput: number;
}

/** One run of the model. */
export interface Batch extends Omit<RequestTimings, 'queue'> {
  /** The number of samples; 1 for a model that takes no batches. */
  readonly samples: number;
  /** The number of requests. */
  readonly requests: number;
}

/** The answer to a request. */
export interface BatcherResult<Outputs extends AnyTensorRecord = Record<string, TensorData>> {
  /**
   * The outputs by name, in memory that no other request has. `outputs.dispose()` gives it back at once; otherwise the garbage
   * collector does later.
   */
  readonly outputs: RunResults<Outputs>;
  /** Where the time went. */
  readonly timings: RequestTimings;
  /** The number of samples of the request; 1 for a model without batches. */
  readonly samples: number;
  /** The number of samples of the run, those of other requests included. */
  readonly batchSize: number;
}

/** Runs a session for many callers. */
export interface Batcher {
  /** The most samples of a request; `undefined` if any number is taken. */
  readonly maxBatchSize: number | undefined;
  /** Why requests are not joined though `maxBatchSize` is above 1; `undefined` if they are. A run may find a reason. */
  readonly notJoined: string | undefined;
  /** The number of requests that wait. */
  readonly pending: number;
  /**
   * Runs the model on the inputs of one request. Leave the inputs unchanged until the promise has settled: they are read when
   * the run begins.
   * @throws SessionError as `session.run` does, `ABORTED`, `DISPOSED`; ServerError `BATCH_SIZE` if the inputs do not have the same
   *   number of samples, from 1 to `maxBatchSize`; `QUEUE_FULL`; `QUEUE_TIMEOUT`; OptionError.
   */
  run<Outputs extends AnyTensorRecord = Record<string, TensorData>>(
    feeds: Feeds,
    options?: BatcherRunOptions,
  ): Promise<BatcherResult<Outputs>>;
  /** Refuses new requests from now on, and returns when all earlier requests have ended. */
  drain(): Promise<void>;
  /** Fails the requests that wait with `DISPOSED`, and returns when all runs have ended. The session stays open. */
  dispose(): Promise<void>;
  /** Calls `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Time, so that tests can set it. */
export interface Clock {
  /** Milliseconds since any moment. */
  now(): number;
  /** Calls `action` after so many milliseconds. Returns a function that cancels it. */
  after(milliseconds: number, action: () => void): () => void;
}

const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    return () => clearTimeout(timer);
  },
};

/**
 * Makes a batcher for a session, which stays the caller's: dispose of it after the batcher.
 * @throws OptionError for an option that does not exist or has a wrong value; ServerError `NOT_BATCHABLE` if `maxBatchSize` is
 *   given and an input or output of the model has no open first dimension.
 */
export const createBatcher = (session: BatchedSession, options: BatcherOptions = {}): Batcher =>
  new QueueingBatcher(session, options, SYSTEM_CLOCK);

export class QueueingBatcher implements Batcher {
  readonly #session: BatchedSession;
  readonly #options: CheckedBatcherOptions;
  readonly #clock: Clock;
  readonly #runner: BatchRunner;
  readonly #queue: QueuedRequest[] = [];
  /** The instances that run no batch, each with its memory for inputs. */
  readonly #idle: Staging[];
  readonly #running = new Set<Promise<void>>();
  #ending: SessionError | undefined;
  #cancelWake: (() => void) | undefined;

  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  static {
    endsBy(this.prototype, Symbol.asyncDispose, 'dispose');
  }

  constructor(session: BatchedSession, options: BatcherOptions, clock: Clock) {
    const checked = requireBatcherOptions(options);
    const { maxBatchSize, instances, onBatch } = checked;
    const reason = maxBatchSize === undefined ? undefined : whyNotBatchable(session);
    if (reason !== undefined) {
      const remedy = 'leave out maxBatchSize, or export the model with a first dimension of any size';
      throw new ServerError('NOT_BATCHABLE', `${reason}: ${remedy}`);
    }
    this.#session = session;
    this.#options = checked;
    this.#clock = clock;
    this.#runner = new BatchRunner(session, maxBatchSize !== undefined, () => clock.now(), onBatch);
    this.#idle = Array.from({ length: instances }, () => new Staging(session));
  }

  get maxBatchSize(): number | undefined {
    return this.#options.maxBatchSize;
  }

  get notJoined(): string | undefined {
    return this.#runner.notJoined;
  }

  get pending(): number {
    return this.#queue.length;
  }

  async run<Outputs extends AnyTensorRecord = Record<string, TensorData>>(
    feeds: Feeds,
    options: BatcherRunOptions = {},
  ): Promise<BatcherResult<Outputs>> {
    if (this.#ending) throw this.#ending;
    const { signal, queueTimeout, fetches } = requireRunOptions(options);
    const checked = checkRequest(this.#session, feeds, fetches, this.maxBatchSize);
    if (signal?.aborted) throw aborted(signal);
    const { maxQueueSize } = this.#options;
    if (this.#idle.length === 0 && this.#queue.length >= maxQueueSize) {
      throw new ServerError('QUEUE_FULL', `${plural(maxQueueSize, 'request')} wait already: try again later`);
    }
    const request = new QueuedRequest(checked, this.#clock.now());
    this.#dropWhenAborted(request, signal);
    this.#dropWhenLate(request, Math.min(queueTimeout ?? Infinity, this.#options.queueTimeout));
    this.#queue.push(request);
    this.#dispatch();
    return request.answer as Promise<BatcherResult<Outputs>>;
  }

  #dropWhenAborted(request: QueuedRequest, signal: AbortSignal | undefined): void {
    if (!signal) return;
    const drop = () => this.#drop(request, aborted(signal));
    signal.addEventListener('abort', drop, { once: true });
    request.onSettled(() => signal.removeEventListener('abort', drop));
  }

  #dropWhenLate(request: QueuedRequest, timeout: number): void {
    if (timeout === Infinity) return;
    const message = `the request waited ${formatDuration(timeout)} for its run to begin: try again later`;
    const drop = () => request.isRunning || this.#drop(request, new ServerError('QUEUE_TIMEOUT', message));
    request.onSettled(this.#clock.after(timeout, drop));
  }

  #drop(request: QueuedRequest, error: Error): void {
    const place = this.#queue.indexOf(request);
    if (place >= 0) this.#queue.splice(place, 1);
    request.fail(error);
  }

  /** Gives requests to idle instances, as far as they need not wait for others. */
  #dispatch(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    while (this.#idle.length > 0 && this.#queue.length > 0) {
      const count = this.#readyCount();
      if (count === 0) {
        const wait = this.#queue[0]!.queuedAt + this.#options.maxQueueDelay - this.#clock.now();
        this.#cancelWake = this.#clock.after(wait, () => this.#dispatch());
        return;
      }
      this.#start(this.#queue.splice(0, count), this.#idle.pop()!);
    }
  }

  /** Returns how many requests from the front of the queue are to run now, as one batch; 0 if they wait for others. */
  #readyCount(): number {
    const { joinedSize, preferredBatchSizes, maxQueueDelay } = this.#options;
    const first = this.#queue[0]!;
    const { rowType } = first.checked;
    if (rowType === undefined || this.notJoined !== undefined) return 1;
    let [count, samples, preferred] = [0, 0, 0];
    for (const { checked } of this.#queue) {
      const total = samples + checked.samples;
      // First in, first out: no request overtakes one that does not fit.
      if (count > 0 && (checked.rowType !== rowType || total > joinedSize)) return count;
      count += 1;
      samples = total;
      if (samples >= joinedSize) return count;
      if (preferredBatchSizes.includes(samples)) preferred = count;
    }
    const isOver = this.#ending !== undefined || this.#clock.now() - first.queuedAt >= maxQueueDelay;
    return isOver ? count : preferred;
  }

  #start(requests: readonly QueuedRequest[], staging: Staging): void {
    const running = this.#runner.run(requests, staging).then(() => {
      this.#running.delete(running);
      this.#idle.push(staging);
      this.#dispatch();
    });
    this.#running.add(running);
  }

  async drain(): Promise<void> {
    this.#ending ??= new SessionError('DISPOSED', 'this batcher takes no more requests');
    this.#dispatch();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async dispose(): Promise<void> {
    this.#ending ??= new SessionError('DISPOSED', 'this batcher is disposed of: create another batcher');
    for (const request of this.#queue.splice(0)) request.fail(this.#ending);
    await this.drain();
    for (const staging of this.#idle) staging.dispose();
  }
}

const aborted = (signal: AbortSignal): SessionError =>
  new SessionError('ABORTED', 'the run was aborted', { cause: signal.reason });
