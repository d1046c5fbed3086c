/** What the benchmarks share: paired rounds, and how their figures are said. */
import { cpus } from 'node:os';
import { Random } from '../lib/weights/random.js';
import { tensor, type TensorData } from '../lib/index.js';

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

/**
 * Runs all contestants one after another in every round, so that what else the machine does hits them alike: a call
 * that is not counted, then `calls` that are. The first round is not counted.
 */
export async function pairedRounds(contestants: Contestants, rounds: number, calls = 3): Promise<Times> {
  const names = Object.keys(contestants);
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
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

/** How many times faster `name` is than `baseline`: quartiles of the rounds' own ratios. */
export const speedup = (times: Times, name: string, baseline: string): Quartiles =>
  quartiles(times[name]!.map((time, round) => times[baseline]![round]! / time));

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))]!;
}

export const quartiles = (values: readonly number[]): Quartiles => ({
  low: quantile(values, 0.25),
  median: quantile(values, 0.5),
  high: quantile(values, 0.75),
});

/** `1.20 × (1.10 to 1.35)` */
export const formatRatio = ({ low, median, high }: Quartiles): string =>
  `${median.toFixed(2)} × (${low.toFixed(2)} to ${high.toFixed(2)})`;

export const machine = (): string =>
  `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;

/** Normal numbers of deviation 1.4. */
export function normalTensor(shape: readonly number[], mean = 0): TensorData {
  const random = new Random(1, shape.join());
  const length = shape.reduce((a, b) => a * b);
  return tensor(
    'float32',
    shape,
    Float32Array.from({ length }, (_, i) => mean + 1.4 * random.normal(i)),
  );
}

/** A Markdown table. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
