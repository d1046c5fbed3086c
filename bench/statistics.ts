/** What the benchmarks share: paired rounds, their statistics, the inputs, and the format of the figures. */
import { cpus } from 'node:os';
import { tensor, type TensorData } from '../lib/index.js';
import { Random } from '../lib/weights/initialize.js';

export interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** The calls to time, by name. */
export type Contestants = Readonly<Record<string, () => Promise<unknown>>>;

/** Makes `calls` calls in a row, timed in the contestant's own thread or process, and returns the milliseconds of one call. */
export type Turn = (calls: number) => Promise<number>;

/** A contestant in its own thread or process. */
export interface Contestant {
  readonly turn: Turn;
  end(): Promise<unknown>;
}

/** Milliseconds of each contestant in each round. */
export type Times = Readonly<Record<string, readonly number[]>>;

/** After a run, ONNX Runtime's threads spin for a while, and would take time from the next contestant. */
const PAUSE_MS = 5;

/**
 * Runs all contestants one after another in every round, so that other work on the machine slows them alike. A turn is
 * one call that does not count, and then `calls` calls that do. The first round does not count.
 */
export const pairedRounds = (contestants: Contestants, rounds: number, calls = 3): Promise<Times> =>
  pairedTurns(
    Object.fromEntries(Object.entries(contestants).map(([name, run]) => [name, turnOf(run)])),
    rounds,
    calls,
    calls,
  );

/** Like pairedRounds, for contestants that take their own time. The first round, of `warmUp` calls, does not count. */
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

/** Returns the turn of a contestant in this thread: one call that does not count, and then `calls` calls that do. */
export const turnOf =
  (run: () => Promise<unknown>, hasFirst = true): Turn =>
  async (calls) => {
    if (hasFirst) await run();
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

/** Returns how many times faster `name` is than `baseline`: the quartiles of the ratios round by round. */
export const speedup = (times: Times, name: string, baseline: string): Quartiles =>
  quartiles(times[name]!.map((time, round) => times[baseline]![round]! / time));

/** Returns a ratio such as `1.20 × (1.10 to 1.35)`. */
export const formatRatio = ({ low, median, high }: Quartiles): string =>
  `${median.toFixed(2)} × (${low.toFixed(2)} to ${high.toFixed(2)})`;

export const machine = (): string =>
  `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;

/** The deviation of inputs. */
export const DEVIATION = 1.4;

/** Returns normal numbers. */
export function normalTensor(shape: readonly number[], mean = 0): TensorData {
  const random = new Random(1, shape.join());
  const length = shape.reduce((a, b) => a * b);
  return tensor(
    'float32',
    shape,
    Float32Array.from({ length }, (_, i) => mean + DEVIATION * random.normal(i)),
  );
}

/** Returns a Markdown table. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
