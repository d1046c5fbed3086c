/** Things timed against each other, in any engine: what else the machine does hits them alike. */

export interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** Something to be timed, by name. */
export type Contestants = Readonly<Record<string, () => Promise<unknown>>>;

/** Milliseconds of each contestant in each round. */
export type Times = Readonly<Record<string, readonly number[]>>;

/** ONNX Runtime's threads look out for more work for a while after a run, and would take it from the next contestant. */
const PAUSE_MS = 5;

/** Where the engine lets it be called for (`--expose-gc`): what one contestant leaves is not to be the next one's work. */
const collectGarbage = (): void => (globalThis as { gc?: () => void }).gc?.();

/**
 * Runs all contestants one after another in every round, so that what else the machine does hits them alike: a call
 * that is not counted, then `calls` that are. The first round is not counted.
 */
export async function pairedRounds(contestants: Contestants, rounds: number, calls = 3): Promise<Times> {
  const names = Object.keys(contestants);
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const run = contestants[name]!;
      await run();
      const start = performance.now();
      for (let call = 0; call < calls; call++) await run();
      if (round >= 0) times[name]!.push((performance.now() - start) / calls);
    }
  }
  return times;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))]!;
}

export const quartiles = (values: readonly number[]): Quartiles => ({
  low: quantile(values, 0.25),
  median: quantile(values, 0.5),
  high: quantile(values, 0.75),
});
