/**
 * Times GroupNorm alone, by the native kernel and under each lowering, against ONNX Runtime's inlined operator. Times
 * include the copies of a call, as a user sees them.
 *
 *   npm run bench -- [rounds]
 */
import { writeFile } from 'node:fs/promises';
import { createSession, LOWERING_NAMES } from '../lib/index.js';
import type { LoweringName, Session, SessionOptions } from '../lib/index.js';
import { groupNormModel, NATIVE as NATIVE_OPTIONS, NUM_GROUPS, ortNode } from './runners.js';
import { timeSessions, type ThreadSpec } from './session-threads.js';
import {
  formatRatio,
  machine,
  normalTensor,
  quantile,
  speedup,
  table,
  type Quartiles,
} from './statistics.js';

const SHAPES = [
  [2, 64, 8, 8],
  [1, 320, 64, 64],
  [8, 256, 32, 32],
  [1, 128, 256, 256],
];
/** Means of the inputs in the error columns; their deviation is 1.4. */
const MEANS = [0, 300];

/** ONNX Runtime's own implementation of the operator, which a session runs only on request. */
const BASELINE = 'inlined';
const NATIVE = 'native kernel';
/** The native kernel with a tensor of the caller for the result. */
const INTO = 'native kernel, allocated `outputs`';
type Variant = LoweringName | typeof BASELINE | typeof NATIVE | typeof INTO;
const VARIANTS: readonly Variant[] = [
  BASELINE,
  ...LOWERING_NAMES.filter((name) => name !== 'op'),
  NATIVE,
  INTO,
];

interface Row {
  readonly shape: number[];
  readonly variant: Variant;
  /** Milliseconds of one call: the median round. */
  readonly median: number;
  /** Quartiles over the rounds of (inlined / this). */
  readonly speedup: Quartiles;
  /** Largest distance from float64 for each of MEANS. */
  readonly errors: number[];
}

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 40);
  const rows: Row[] = [];
  for (const shape of SHAPES) {
    process.stderr.write(`${shape.join('×')} …\n`);
    rows.push(...(await measureShape(shape, rounds)));
  }
  print(rows);
  const output = process.env['BENCH_JSON'];
  if (output) await writeFile(output, `${JSON.stringify({ machine: machine(), rounds, rows }, null, 2)}\n`);
}

async function measureShape(shape: number[], rounds: number): Promise<Row[]> {
  const specs = VARIANTS.map((variant) => [variant, specOf(shape, variant)] as const);
  const times = await timeSessions(Object.fromEntries(specs), rounds);
  const rows: Row[] = [];
  for (const [variant, { model, options }] of specs) {
    await using session = await createSession(model, options);
    const errors: number[] = [];
    for (const mean of MEANS) errors.push(await errorAt(session, shape, mean));
    const median = quantile(times[variant]!, 0.5);
    rows.push({ shape, variant, median, speedup: speedup(times, variant, BASELINE), errors });
  }
  return rows;
}

function specOf(shape: number[], variant: Variant): ThreadSpec {
  const lowering = (LOWERING_NAMES as readonly string[]).includes(variant) ? (variant as LoweringName) : 'op';
  return {
    model: groupNormModel(shape, lowering),
    options: optionsOf(variant),
    shape,
    call: variant === INTO ? 'allocated outputs' : 'plain',
  };
}

function optionsOf(variant: Variant): SessionOptions {
  if (variant === NATIVE || variant === INTO) return NATIVE_OPTIONS;
  return ortNode(variant === BASELINE ? 'op' : variant);
}

async function errorAt(session: Session, shape: number[], mean: number): Promise<number> {
  const x = normalTensor(shape, mean);
  const y = (await session.run({ x })).y!.data as Float32Array;
  const expected = normalize(x.data as Float32Array, x.data.length / (shape[0]! * NUM_GROUPS));
  return y.reduce((max, value, i) => Math.max(max, Math.abs(value - expected[i]!)), 0);
}

/** Normalizes each row to mean 0 and variance 1, in float64. */
function normalize(values: Float32Array, rowLength: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let start = 0; start < values.length; start += rowLength) {
    const row = Float64Array.from(values.subarray(start, start + rowLength));
    const mean = row.reduce((sum, v) => sum + v, 0) / rowLength;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / rowLength;
    result.set(
      row.map((v) => (v - mean) / Math.sqrt(variance + 1e-5)),
      start,
    );
  }
  return result;
}

/** Prints a Markdown table for docs/performance.md. */
function print(rows: Row[]): void {
  const head = [
    'shape',
    'GroupNorm',
    'ms',
    'speed-up (quartiles)',
    ...MEANS.map((mean) => `error, mean ${mean}`),
  ];
  console.log(`${machine()}, float32, ${NUM_GROUPS} groups\n`);
  const cells = rows.map(({ shape, variant, median, speedup, errors }) => [
    shape.join('×'),
    variant,
    median.toFixed(3),
    formatRatio(speedup),
    ...errors.map((error) => error.toExponential(1)),
  ]);
  console.log(table(head, cells));
}

await main();
