/**
 * GroupNorm alone under each lowering, against ONNX Runtime's inlined operator.
 *
 * Every round runs all variants one after another, so that what else the machine does hits them alike; the
 * ratio is the median of the rounds' own ratios. Times include the copies of a call, as a user sees them.
 *
 *   npm run bench -- [rounds]
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { getGraph } from '../graphs/registry.js';
import { createSession, encodeModel, initializeWeights, LOWERING_NAMES, tensor } from '../lib/index.js';
import type { LoweringName, Session, TensorData } from '../lib/index.js';
import { Random } from '../lib/weights/random.js';

const SHAPES = [
  [2, 64, 8, 8],
  [1, 320, 64, 64],
  [8, 256, 32, 32],
  [1, 128, 256, 256],
];
const NUM_GROUPS = 32;
const OPSET = 21;
/** Means of the inputs whose error is reported; the deviation is 1.4. */
const MEANS = [0, 300];

/** ONNX Runtime's own body of the operator, which a session runs only on request. */
const BASELINE = 'inlined';
type Variant = LoweringName | typeof BASELINE;
const VARIANTS: readonly Variant[] = [BASELINE, ...LOWERING_NAMES.filter((name) => name !== 'op')];

interface Row {
  readonly shape: number[];
  readonly variant: Variant;
  /** Milliseconds of one call: the median round. */
  readonly median: number;
  /** Quartiles over the rounds of (inlined / this). */
  readonly speedup: { readonly low: number; readonly median: number; readonly high: number };
  /** Largest distance from float64, one for each of MEANS. */
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
  const sessions = new Map<Variant, Session>();
  for (const variant of VARIANTS) sessions.set(variant, await open(shape, variant));
  const x = normalTensor(shape, 0);
  const times = new Map<Variant, number[]>(VARIANTS.map((variant) => [variant, []]));
  for (let round = -2; round < rounds; round++) {
    for (const [variant, session] of sessions) {
      const start = performance.now();
      await session.run({ x });
      if (round >= 0) times.get(variant)!.push(performance.now() - start);
    }
  }
  const rows: Row[] = [];
  for (const [variant, session] of sessions) {
    const own = times.get(variant)!;
    const ratios = own.map((time, round) => times.get(BASELINE)![round]! / time);
    const errors: number[] = [];
    for (const mean of MEANS) errors.push(await errorAt(session, shape, mean));
    rows.push({ shape, variant, median: quantile(own, 0.5), speedup: quartiles(ratios), errors });
    await session.dispose();
  }
  return rows;
}

function open(shape: number[], variant: Variant): Promise<Session> {
  const graph = getGraph('group-norm').build({ numGroups: NUM_GROUPS, numChannels: shape[1]! }, { shape });
  const lowering = variant === BASELINE ? 'op' : variant;
  const model = encodeModel(graph, initializeWeights(graph), { opset: OPSET, lowering });
  return createSession(model, { groupNorm: variant === BASELINE ? 'op' : undefined });
}

async function errorAt(session: Session, shape: number[], mean: number): Promise<number> {
  const x = normalTensor(shape, mean);
  const y = (await session.run({ x })).y!.data as Float32Array;
  const expected = normalize(x.data as Float32Array, x.data.length / (shape[0]! * NUM_GROUPS));
  return y.reduce((max, value, i) => Math.max(max, Math.abs(value - expected[i]!)), 0);
}

/** Each row to mean 0 and variance 1, in float64. */
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

function normalTensor(shape: number[], mean: number): TensorData {
  const random = new Random(1, shape.join());
  const length = shape.reduce((a, b) => a * b);
  return tensor(
    'float32',
    shape,
    Float32Array.from({ length }, (_, i) => mean + 1.4 * random.normal(i)),
  );
}

function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))]!;
}

const quartiles = (values: number[]): Row['speedup'] => ({
  low: quantile(values, 0.25),
  median: quantile(values, 0.5),
  high: quantile(values, 0.75),
});

const machine = (): string => `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;

/** As Markdown, to be pasted into README.md. */
function print(rows: Row[]): void {
  const head = [
    'shape',
    'GroupNorm',
    'ms',
    'speed-up (quartiles)',
    ...MEANS.map((mean) => `error, mean ${mean}`),
  ];
  console.log(`${machine()}, float32, ${NUM_GROUPS} groups\n`);
  console.log(`| ${head.join(' | ')} |\n|${'---|'.repeat(head.length)}`);
  for (const { shape, variant, median, speedup, errors } of rows) {
    const ratio = `${speedup.median.toFixed(2)} × (${speedup.low.toFixed(2)} to ${speedup.high.toFixed(2)})`;
    const figures = errors.map((error) => error.toExponential(1));
    console.log(`| ${[shape.join('×'), variant, median.toFixed(3), ratio, ...figures].join(' | ')} |`);
  }
}

await main();
