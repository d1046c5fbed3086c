/** Runs requests on a session: as one batch where that gives the same answers, otherwise one by one. */
import { SessionError } from '../../errors.js';
import type { Session } from '../../runtime/core/contract.js';
import type { QueuedRequest, Results } from './request.js';
import { areAlike, hasRows, type Staging, takeRows } from './tensors.js';
import type { Batch } from './batcher.js';

/** What a batcher uses of a session. */
export type BatchedSession = Pick<Session, 'inputs' | 'outputs' | 'run' | 'allocate'>;

const UNLIKE_ROWS = "the first dimension of the model's outputs is not that of its inputs";
const MIXED_ROWS =
  'the samples of a batch influence each other: alone, they have other results than in the batch';

export class BatchRunner {
  #notJoined: string | undefined;
  /** Whether a batch of several requests has been compared with runs of its requests alone. */
  #isCompared = false;

  constructor(
    readonly session: BatchedSession,
    readonly takesBatches: boolean,
    readonly now: () => number,
    readonly onBatch: (batch: Batch) => void,
  ) {}

  /** Why requests are not joined any more; `undefined` as long as they are. */
  get notJoined(): string | undefined {
    return this.#notJoined;
  }

  /** Runs requests that fit together, and settles them. It does not fail. */
  async run(requests: readonly QueuedRequest[], staging: Staging): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    for (const request of requests) {
      // A run ends early when no caller waits for it.
      const end = () => requests.every(({ isSettled }) => isSettled) && controller.abort();
      request.begin(this.now(), end);
      if (!request.isIntact) request.fail(new SessionError('INPUT_SHAPE', CHANGED));
    }
    const waiting = () => requests.filter(({ isSettled }) => !isSettled);
    const joined = waiting();
    const problem = joined.length > 1 ? await this.#runJoined(joined, staging, signal) : undefined;
    const outcomes: boolean[] = [];
    for (const request of waiting()) outcomes.push(await this.#runAlone(request, signal));
    // Where a request is at fault, its run alone fails too.
    const isJoiningAtFault = outcomes.length > 0 && outcomes.every(Boolean);
    if (isJoiningAtFault) this.#notJoined ??= problem;
  }

  /** Runs one request alone, and settles it. Returns whether it succeeded. */
  async #runAlone(request: QueuedRequest, signal: AbortSignal): Promise<boolean> {
    const { feeds, fetches, samples } = request.checked;
    const begin = this.now();
    try {
      const outputs = await this.session.run(feeds, { fetches, signal });
      if (this.takesBatches && !hasRows(outputs, samples)) this.#notJoined ??= UNLIKE_ROWS;
      const computed = {
        samples,
        computeInput: 0,
        computeInfer: this.now() - begin,
        computeOutput: 0,
      };
      this.#answer([request], [outputs], computed);
      return true;
    } catch (error) {
      request.fail(error);
      return false;
    }
  }

  /** Runs requests as one batch, and settles them; or returns why they must run alone. */
  async #runJoined(
    requests: readonly QueuedRequest[],
    staging: Staging,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const checked = requests.map((request) => request.checked);
    const samples = checked.reduce((sum, request) => sum + request.samples, 0);
    const fetches = [...new Set(checked.flatMap((request) => request.fetches))];
    const begin = this.now();
    let joined: Results | undefined;
    try {
      const feeds = staging.join(
        checked.map((request) => request.feeds),
        samples,
      );
      const read = this.now();
      joined = await this.session.run(feeds, { fetches, signal });
      const ran = this.now();
      if (!hasRows(joined, samples)) return UNLIKE_ROWS;
      const rows = takeRows(this.session, joined, checked);
      const taken = this.now();
      if (!this.#isCompared && !(await this.#agreesAlone(requests, rows, signal))) return MIXED_ROWS;
      this.#isCompared = true;
      this.#answer(requests, rows, {
        samples,
        computeInput: read - begin,
        computeInfer: ran - read,
        computeOutput: taken - ran,
      });
      return undefined;
    } catch (error) {
      return `the model fails with a batch of ${samples} samples: ${(error as Error).message}`;
    } finally {
      joined?.dispose();
    }
  }

  /** Runs the first and the last request alone, and compares the results. */
  async #agreesAlone(
    requests: readonly QueuedRequest[],
    rows: readonly Results[],
    signal: AbortSignal,
  ): Promise<boolean> {
    for (const at of [0, requests.length - 1]) {
      const { feeds, fetches } = requests[at]!.checked;
      const alone = await this.session.run(feeds, { fetches, signal });
      const agrees = areAlike(alone, rows[at]!);
      alone.dispose();
      if (!agrees) return false;
    }
    return true;
  }

  #answer(
    requests: readonly QueuedRequest[],
    outputs: readonly Results[],
    { samples, ...times }: Omit<Batch, 'requests'>,
  ): void {
    this.onBatch({ samples, requests: requests.length, ...times });
    requests.forEach((request, i) => request.succeed(outputs[i]!, times, samples));
  }
}

const CHANGED =
  'an input was transferred or resized while the request waited: leave inputs unchanged until run has ended';
