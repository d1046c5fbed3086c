/** A session whose runs end when the test says so, and a clock that the test sets. */
import type { BatchedSession } from '../../../lib/server/batching/runner.js';
import type { Clock } from '../../../lib/server/batching/batcher.js';
import type { AnyTensorRecord, RunOptions, TensorInfo } from '../../../lib/runtime/core/contract.js';
import { disposableResults } from '../../../lib/runtime/core/owned.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';

/** One run that the session was asked for. */
export interface FakeRun {
  /** The values of `x`, row by row. */
  readonly rows: readonly number[];
  readonly options: RunOptions;
  /** Ends the run with `double` = 2 x and `half` = x / 2, as far as they are wanted. */
  finish(): void;
  fail(error: Error): void;
}

const DECLARED: readonly TensorInfo[] = [{ name: 'x', dtype: 'float32', shape: ['N', 'W'] }];
const OUTPUTS: readonly TensorInfo[] = ['double', 'half'].map((name) => ({
  name,
  dtype: 'float32',
  shape: ['N', 'W'],
}));

export class FakeSession {
  readonly inputs = DECLARED;
  readonly outputs = OUTPUTS;
  readonly runs: FakeRun[] = [];
  /** Whether runs end at once. */
  isQuick = false;

  run(feeds: AnyTensorRecord, options: RunOptions = {}): Promise<AnyTensorRecord> {
    const { dims, data } = feeds.x as TensorData<'float32'>;
    const outputs = {
      double: tensor(
        'float32',
        dims,
        data.map((value) => 2 * value),
      ),
      half: tensor(
        'float32',
        dims,
        data.map((value) => value / 2),
      ),
    };
    const wanted = options.fetches ?? ['double', 'half'];
    const results = Object.fromEntries(wanted.map((name) => [name, outputs[name as 'half']]));
    return new Promise((resolve, reject) => {
      const finish = () => resolve(disposableResults(results, [], () => undefined));
      options.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      const width = dims[1]!;
      const rows = Array.from({ length: dims[0]! }, (_, row) => data[row * width]!);
      this.runs.push({ rows, options, finish, fail: reject });
      if (this.isQuick) finish();
    });
  }

  allocate(dtype: 'float32', dims: readonly number[]) {
    const length = dims.reduce((a, b) => a * b, 1);
    return Object.assign({ dispose: () => undefined }, tensor(dtype, dims, new Float32Array(length)));
  }

  /** The rows of each run. */
  get batches(): (readonly number[])[] {
    return this.runs.map(({ rows }) => rows);
  }

  asSession(): BatchedSession {
    return this as unknown as BatchedSession;
  }
}

export class FakeClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, action: () => void): () => void {
    const timer = { at: this.#now + milliseconds, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** The number of timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass. */
  pass(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > this.#now || !this.#timers.delete(timer)) continue;
      timer.action();
    }
  }
}

/** Rows of `width` equal values as the feeds of a request. */
export const feedsOf = (values: readonly number[], width = 2) => ({
  x: tensor(
    'float32',
    [values.length, width],
    Float32Array.from(values.flatMap((value) => Array.from({ length: width }, () => value))),
  ),
});

/** Lets all promises that can settle do so. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
