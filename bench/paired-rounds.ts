/** Things timed against each other, in any engine: what else the machine does hits them alike. */

export interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** Something to be timed, by name. */
export type Contestants = Readonly<Record<string, () => Promise<unknown>>>;

/** A contestant's turn: that many calls in a row, timed where they are made. Returns the milliseconds of one. */
export type Turn = (calls: number) => Promise<number>;

/** Something that is timed in a thread or process of its own. */
export interface Contestant {
  readonly turn: Turn;
  end(): Promise<unknown>;
}

/** Milliseconds of each contestant in each round. */
export type Times = Readonly<Record<string, readonly number[]>>;

/** ONNX Runtime's threads look out for more work for a while after a run, and would take it from the next contestant. */
const PAUSE_MS = 5;

/**
 * Runs all contestants one after another in every round, so that what else the machine does hits them alike: a call
 * that is not counted, then `calls` that are. The first round is not counted.
 */
export const pairedRounds = (contestants: Contestants, rounds: number, calls = 3): Promise<Times> =>
  pairedTurns(
    Object.fromEntries(Object.entries(contestants).map(([name, run]) => [name, turnOf(run)])),
    rounds,
    calls,
    calls,
  );

/** The same of contestants that keep time themselves. The first round, which is not counted, is of `warmUp` calls. */
export async function pairedTurns(
  turns: Readonly<Record<string, Turn>>,
  rounds: number,
  calls: number,
  warmUp: number,
): Promise<Times> {
  const names = Object.keys(turns);
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const time = await turns[name]!(round < 0 ? warmUp : calls);
      if (round >= 0) times[name]!.push(time);
    }
  }
  return times;
}

/** A call that is not counted, then those that are. */
export const turnOf =
  (run: () => Promise<unknown>): Turn =>
  async (calls) => {
    await run();
    const start = performance.now();
    for (let call = 0; call < calls; call++) await run();
    return (performance.now() - start) / calls;
  };

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))]!;
}

export const quartiles = (values: readonly number[]): Quartiles => ({
  low: quantile(values, 0.25),
  median: quantile(values, 0.5),
  high: quantile(values, 0.75),
});
