/** One request of a batcher: its checked inputs, and the promise that its caller waits for. */
import { ServerError } from '../../errors.js';
import type { AnyTensorRecord, Feeds, RunResults, Session } from '../../runtime/core/contract.js';
import { checkFeeds, checkFetches } from '../../runtime/core/tensors.js';
import { elementCount, isStringTensor } from '../../tensor.js';
import type { BatcherResult, RequestTimings } from './batcher.js';

/** The outputs of a run, of numbers or of texts. */
export type Results = RunResults<AnyTensorRecord>;

/** The inputs of a request, checked, so that the request cannot fail a batch that it joins. */
export interface CheckedRequest {
  readonly feeds: AnyTensorRecord;
  readonly fetches: readonly string[];
  /** The number of rows; 1 for a model without batches. */
  readonly samples: number;
  /** Requests of the same type may run as one batch. `undefined` for a request that runs alone. */
  readonly rowType: string | undefined;
}

/**
 * Checks a request.
 * @param maxBatchSize `undefined` for a model without batches.
 * @throws SessionError `INPUT_*`, `OUTPUT_INVALID`; OptionError; ServerError `BATCH_SIZE`.
 */
export function checkRequest(
  { inputs, outputs }: Pick<Session, 'inputs' | 'outputs'>,
  given: Feeds,
  fetches: readonly string[] | undefined,
  maxBatchSize: number | undefined,
): CheckedRequest {
  const feeds = checkFeeds(inputs, given);
  const checked = { feeds, fetches: checkFetches(outputs, fetches, {}) };
  if (maxBatchSize === undefined) return { ...checked, samples: 1, rowType: undefined };
  const required = inputs.filter(({ optional }) => !optional).map(({ name }) => name);
  const [first, ...others] = required as [string, ...string[]];
  const samples = feeds[first]!.dims[0]!;
  const odd = others.find((name) => feeds[name]!.dims[0] !== samples);
  if (odd !== undefined) {
    const sizes = `'${first}' has ${samples} samples, but '${odd}' has ${feeds[odd]!.dims[0]}`;
    throw new ServerError('BATCH_SIZE', `the inputs of a request need the same first dimension: ${sizes}`);
  }
  if (samples < 1 || samples > maxBatchSize) {
    const range = `from 1 to ${maxBatchSize} samples (the first dimension), and this request has ${samples}`;
    throw new ServerError('BATCH_SIZE', `the model takes requests ${range}`);
  }
  // An optional input need not have a row for each sample.
  const joins = Object.keys(feeds).length === required.length;
  const rowType = required.map((name) => feeds[name]!.dims.slice(1).join()).join(';');
  return { ...checked, samples, rowType: joins ? rowType : undefined };
}

/** A request on its way through a batcher. */
export class QueuedRequest {
  /** What the caller waits for. */
  readonly answer: Promise<BatcherResult>;
  #resolve!: (result: BatcherResult) => void;
  #reject!: (error: unknown) => void;
  #startedAt: number | undefined;
  #onFailed: (() => void) | undefined;
  #isSettled = false;
  readonly #cleanups: (() => void)[] = [];

  constructor(
    readonly checked: CheckedRequest,
    readonly queuedAt: number,
  ) {
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Whether its run has begun. */
  get isRunning(): boolean {
    return this.#startedAt !== undefined;
  }

  /** Whether the caller has an answer, so that the request need not run any more. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Whether the inputs are still there: the caller may have transferred or resized their memory. */
  get isIntact(): boolean {
    return Object.values(this.checked.feeds).every(
      (value) => isStringTensor(value) || value.data.length === elementCount(value.dims),
    );
  }

  /** Calls `cleanup` when the caller has an answer. */
  onSettled(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  /** Notes that the run begins, and calls `onFailed` if the request fails or is dropped. */
  begin(now: number, onFailed: () => void): void {
    this.#startedAt = now;
    this.#onFailed = onFailed;
  }

  succeed(outputs: Results, times: Omit<RequestTimings, 'queue'>, batchSize: number): void {
    if (this.#isSettled) return outputs.dispose();
    const timings = { queue: this.#startedAt! - this.queuedAt, ...times };
    const { samples } = this.checked;
    this.#settle(() => this.#resolve({ outputs: outputs as RunResults, timings, samples, batchSize }));
  }

  fail(error: unknown): void {
    if (this.#isSettled) return;
    this.#settle(() => this.#reject(error));
    this.#onFailed?.();
  }

  #settle(answer: () => void): void {
    this.#isSettled = true;
    answer();
    for (const cleanup of this.#cleanups) cleanup();
  }
}
