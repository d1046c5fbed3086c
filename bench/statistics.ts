/** What the benchmarks share: how their figures are said, and what they are measured on. */
import { cpus } from 'node:os';
import { tensor, type TensorData } from '../lib/index.js';
import { Random } from '../lib/weights/initialize.js';
import { quartiles, type Quartiles, type Times } from './paired-rounds.js';

export * from './paired-rounds.js';

/** How many times faster `name` is than `baseline`: quartiles of the rounds' own ratios. */
export const speedup = (times: Times, name: string, baseline: string): Quartiles =>
  quartiles(times[name]!.map((time, round) => times[baseline]![round]! / time));

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
