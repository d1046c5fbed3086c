/**
 * Long work in steps. A request of 64 MiB of JSON takes a second to read, in which no other request, and no health probe,
 * would be answered. Work is a generator that yields where it may pause.
 */
import { setImmediate } from 'node:timers/promises';

/** Work that yields where it may pause, and returns its result. */
export type Steps<T> = Generator<void, T, void>;

/** How long work goes on before it lets the event loop turn, in milliseconds. */
const SLICE = 2;

/** Does all steps of the work at once. */
export function inOneGo<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Does work in slices of 2 ms, of which the event loop runs one in each turn, however many works are in progress. */
export class SlicedWork {
  #turn: Promise<unknown> = Promise.resolve();

  /** Does all steps of the work. */
  async run<T>(steps: Steps<T>): Promise<T> {
    let end = performance.now() + SLICE;
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      if (performance.now() < end) continue;
      await this.#nextTurn();
      end = performance.now() + SLICE;
    }
  }

  #nextTurn(): Promise<unknown> {
    this.#turn = this.#turn.then(() => setImmediate());
    return this.#turn;
  }
}
