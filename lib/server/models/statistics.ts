/** What one version of a model has done since it was loaded, as Triton's statistics count it. Durations are nanoseconds. */
import { OnnxGroupNormError } from '../../errors.js';
import type { Batch, BatcherResult } from '../batching/batcher.js';

/** Durations of one kind: how many there were, and their sum in nanoseconds. */
export interface DurationSum {
  /** The number of durations. */
  readonly count: number;
  /** Their sum in nanoseconds. */
  readonly ns: number;
}

/** What the runs with one number of samples took. */
export interface BatchStatistics {
  /** The number of samples. */
  readonly batchSize: number;
  /** To put the inputs of the batch together. */
  readonly computeInput: DurationSum;
  /** For the run of the model. */
  readonly computeInfer: DurationSum;
  /** To take the results apart. */
  readonly computeOutput: DurationSum;
}

/**
 * Why a request failed: it was `rejected` because the queue was full or it waited too long, `canceled` by its client, failed in
 * the `backend` (the run of the model), or for `other` reasons, such as wrong inputs.
 */
export const FAILURE_REASONS = ['rejected', 'canceled', 'backend', 'other'] as const;
/**
 * A reason of {@link FAILURE_REASONS}.
 * @useDeclaredType
 */
export type FailureReason = (typeof FAILURE_REASONS)[number];

/** What one version of a model has done. Each count is there from the start, at 0. */
export interface ModelStatistics {
  /** When the last request was answered, in milliseconds since 1970; 0 if none was. */
  readonly lastInference: number;
  /** The samples of all answered requests. */
  readonly inferenceCount: number;
  /** The runs of the model. */
  readonly executionCount: number;
  /** The answered requests, from the call of `run` to the answer. */
  readonly success: DurationSum;
  /** The failed requests. */
  readonly fail: DurationSum;
  /** The failed requests by reason. */
  readonly failures: Readonly<Record<FailureReason, number>>;
  /** The waits of the answered requests for their run. */
  readonly queue: DurationSum;
  /** Putting the inputs together, for the answered requests; each request of a batch counts the whole batch. */
  readonly computeInput: DurationSum;
  /** The runs of the model, for the answered requests. */
  readonly computeInfer: DurationSum;
  /** Taking the results apart, for the answered requests. */
  readonly computeOutput: DurationSum;
  /** Always 0: there is no cache of answers. */
  readonly cacheHit: DurationSum;
  /** Always 0, as `cacheHit`. */
  readonly cacheMiss: DurationSum;
  /** The runs by their number of samples, the smallest first. */
  readonly batches: readonly BatchStatistics[];
}

/** A request that has ended. Durations are milliseconds. */
export type RequestEnd =
  | { readonly reason: undefined; readonly duration: number; readonly result: BatcherResult }
  | { readonly reason: FailureReason; readonly duration: number };

const KINDS = ['success', 'fail', 'queue', 'computeInput', 'computeInfer', 'computeOutput'] as const;
const BATCH_KINDS = ['computeInput', 'computeInfer', 'computeOutput'] as const;

type Sums<Kind extends string> = Record<Kind, { count: number; ns: number }>;

const zeros = <Kind extends string>(kinds: readonly Kind[]): Sums<Kind> =>
  Object.fromEntries(kinds.map((kind) => [kind, { count: 0, ns: 0 }])) as Sums<Kind>;

function add(sum: { count: number; ns: number }, milliseconds: number): void {
  sum.count += 1;
  sum.ns += Math.round(milliseconds * 1e6);
}

/** Counts the requests and the runs of one version of a model. */
export class StatisticsCollector {
  readonly #sums = zeros(KINDS);
  readonly #failures = { rejected: 0, canceled: 0, backend: 0, other: 0 };
  readonly #batches = new Map<number, Sums<(typeof BATCH_KINDS)[number]>>();
  #lastInference = 0;
  #inferenceCount = 0;
  #executionCount = 0;

  /** Counts a request that has ended. */
  request(end: RequestEnd): void {
    if (end.reason !== undefined) {
      add(this.#sums.fail, end.duration);
      this.#failures[end.reason] += 1;
      return;
    }
    const { samples, timings } = end.result;
    this.#lastInference = Date.now();
    this.#inferenceCount += samples;
    add(this.#sums.success, end.duration);
    for (const kind of ['queue', ...BATCH_KINDS] as const) add(this.#sums[kind], timings[kind]);
  }

  /** Counts a run of the model. */
  batch({ samples, ...durations }: Batch): void {
    this.#executionCount += 1;
    let sums = this.#batches.get(samples);
    if (!sums) this.#batches.set(samples, (sums = zeros(BATCH_KINDS)));
    for (const kind of BATCH_KINDS) add(sums[kind], durations[kind]);
  }

  /** Returns the counts up to now. */
  snapshot(): ModelStatistics {
    return structuredClone({
      lastInference: this.#lastInference,
      inferenceCount: this.#inferenceCount,
      executionCount: this.#executionCount,
      ...this.#sums,
      failures: this.#failures,
      ...zeros(['cacheHit', 'cacheMiss']),
      batches: [...this.#batches]
        .sort(([a], [b]) => a - b)
        .map(([batchSize, sums]) => ({ batchSize, ...sums })),
    });
  }
}

const REASONS: Readonly<Record<string, FailureReason>> = {
  QUEUE_FULL: 'rejected',
  QUEUE_TIMEOUT: 'rejected',
  ABORTED: 'canceled',
  RUN_FAILED: 'backend',
  OUT_OF_MEMORY: 'backend',
};

/** Returns the reason under which a failed request is counted. */
export const failureReason = (error: unknown): FailureReason =>
  (error instanceof OnnxGroupNormError ? REASONS[error.code] : 'backend') ?? 'other';
