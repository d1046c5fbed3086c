/**
 * Measures how far GroupNorm in float32 is from float64, against the mean of its input: the native kernel, onnxruntime-node
 * with every lowering, and PyTorch.
 *
 *   npm run bench:accuracy -- [--python PYTHON-WITH-TORCH] [--json FILE]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createSession, LOWERING_NAMES, type SessionOptions, type TensorData } from '../lib/index.js';
import { reportOf, writeReport } from './report.js';
import { groupNormModel, NATIVE, NUM_GROUPS, ortNode } from './runners.js';
import { DEVIATION, normalTensor, table } from './statistics.js';

/** Groups of 41,000 and of 262,000 elements. */
const SHAPES = [
  [1, 320, 64, 64],
  [1, 128, 256, 256],
];
/** In deviations of the input. */
const MEANS = [0, 0.1, 1, 10, 100, 1000, 10_000];

/** The error of a runner for inputs of one shape and mean. */
export interface AccuracyRow {
  readonly shape: readonly number[];
  /** The mean of the input in deviations. */
  readonly mean: number;
  readonly runner: string;
  /** The largest distance from float64; the result has deviation 1. `null` if the result is not a number. */
  readonly error: number | null;
}

type Runner = (x: TensorData) => Promise<Float32Array>;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { python: { type: 'string' }, json: { type: 'string' } } });
  const { python } = values;
  const rows: AccuracyRow[] = [];
  for (const shape of SHAPES) {
    process.stderr.write(`${shape.join('×')} …\n`);
    for (const mean of MEANS) {
      const x = normalTensor(shape, mean * DEVIATION);
      const expected = normalize(x.data as Float32Array, x.data.length / (shape[0]! * NUM_GROUPS));
      for (const [runner, run] of Object.entries(runnersFor(shape, python)))
        rows.push({ shape, mean, runner, error: largestDifference(await run(x), expected) });
    }
  }
  print(rows);
  const notRun = python === undefined ? ['PyTorch: --python names a Python that has torch'] : [];
  for (const line of notRun) console.log(`\nNot run: ${line}`);
  if (values.json !== undefined) {
    const report = reportOf('npm run bench:accuracy', rows, { python, peers: ['PyTorch'], notRun });
    writeReport(values.json, report, (row) => row.shape.join());
  }
}

function runnersFor(shape: readonly number[], python: string | undefined): Record<string, Runner> {
  const session = (model: Uint8Array, options: SessionOptions): Runner => {
    return async (x) => {
      await using opened = await createSession(model, options);
      return (await opened.run({ x })).y!.data as Float32Array;
    };
  };
  return {
    native: session(groupNormModel(shape), NATIVE),
    ...(python !== undefined && { PyTorch: (x) => Promise.resolve(runPyTorch(python, x)) }),
    ...Object.fromEntries(
      LOWERING_NAMES.map((name): [string, Runner] => [
        `onnxruntime-node, ${name === 'op' ? 'operator inlined' : name}`,
        session(groupNormModel(shape, name), ortNode(name)),
      ]),
    ),
  };
}

const SCRIPT = fileURLToPath(new URL('pytorch.py', import.meta.url));

function runPyTorch(python: string, { data, dims }: TensorData): Float32Array {
  const folder = mkdtempSync(join(tmpdir(), 'accuracy-'));
  const [input, output] = [join(folder, 'x'), join(folder, 'y')];
  try {
    writeFileSync(input, data);
    execFileSync(python, [SCRIPT, 'once', dims.join('x'), input, output]);
    return new Float32Array(new Uint8Array(readFileSync(output)).buffer);
  } finally {
    rmSync(folder, { recursive: true });
  }
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

function largestDifference(actual: Float32Array, expected: Float64Array): number | null {
  const largest = actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
  return Number.isNaN(largest) ? null : largest;
}

const formatError = (error: number | null): string => error?.toExponential(1) ?? 'NaN';

function print(rows: readonly AccuracyRow[]): void {
  const settings = new Map(
    rows.map(({ shape, runner }) => [`${shape.join('×')} ${runner}`, { shape, runner }]),
  );
  const cells = [...settings.values()].map(({ shape, runner }) => [
    shape.join('×'),
    runner,
    ...rows
      .filter((row) => row.shape === shape && row.runner === runner)
      .map(({ error }) => formatError(error)),
  ]);
  console.log(table(['shape', 'runner', ...MEANS.map((mean) => `mean ${mean} deviations`)], cells));
}

await main();
