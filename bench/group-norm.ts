/**
 * Times GroupNorm alone against the size of its tensor: the native kernel in the ways that a user calls it, onnxruntime-node
 * with every lowering, PyTorch, and a copy of the same bytes.
 *
 *   npm run bench:group-norm -- [--rounds N] [--only SHAPE]... [--python PYTHON-WITH-TORCH] [--json FILE]
 *
 * SHAPE is such as 1x320x64x64. Rows of other shapes that FILE has already stay in it.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { LOWERING_NAMES } from '../lib/index.js';
import { startPyTorch } from './pytorch.js';
import { reportOf, writeReport } from './report.js';
import { groupNormModel, megabytes, NATIVE, NUM_GROUPS, ortNode } from './runners.js';
import { SETTLE_MS, timeSessions, type ThreadSpec } from './session-threads.js';
import {
  formatRatio,
  machine,
  quartiles,
  speedup,
  table,
  type Contestant,
  type Quartiles,
} from './statistics.js';

/** Feature maps of 8 kB to 134 MB, as classifiers, diffusion models and decoders of autoencoders have them. */
const SHAPES = [
  [1, 32, 8, 8],
  [1, 64, 16, 16],
  [1, 320, 16, 16],
  [1, 320, 32, 32],
  [1, 320, 64, 64],
  [1, 256, 128, 128],
  [1, 128, 256, 256],
  [1, 128, 512, 512],
];

const ORT = 'onnxruntime-node';
const BASELINE = `${ORT}, operator inlined`;

/** A contestant at one size. */
export interface GroupNormRow {
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly runner: string;
  /** Milliseconds of a call. */
  readonly ms: Quartiles;
  /** How many times faster than onnxruntime-node, which inlines the operator. */
  readonly faster: Quartiles;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '12' },
      only: { type: 'string', multiple: true, default: [] },
      python: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const rows: GroupNormRow[] = [];
  const isAsked = (shape: readonly number[]) =>
    values.only.length === 0 || values.only.includes(shape.join('x'));
  for (const shape of SHAPES.filter(isAsked)) {
    process.stderr.write(`${shape.join('×')} …\n`);
    rows.push(...(await measure(shape, Number(values.rounds), values.python)));
  }
  print(rows);
  const notRun = values.python === undefined ? ['PyTorch: --python names a Python that has torch'] : [];
  for (const line of notRun) console.log(`\nNot run: ${line}`);
  if (values.json !== undefined) {
    const report = reportOf('npm run bench:group-norm', rows, {
      python: values.python,
      peers: ['PyTorch'],
      notRun,
    });
    writeReport(values.json, report, (row) => row.shape.join());
  }
}

async function measure(
  shape: readonly number[],
  rounds: number,
  python: string | undefined,
): Promise<GroupNormRow[]> {
  const bytes = 4 * shape.reduce((a, b) => a * b);
  const others = {
    memcpy: copyOf(bytes),
    ...(python !== undefined && { PyTorch: startPyTorch(python, shape, availableParallelism()) }),
  };
  // A turn takes some 10 ms at least, and V8's collector reaches a steady state before the first round.
  const turns = { calls: clamp(1e8 / bytes, 2, 200), warmUp: clamp(1e9 / bytes, 10, 200) };
  const times = await timeSessions(sessions(shape), rounds, turns, others);
  return Object.keys(times).map((runner) => ({
    shape,
    bytes,
    runner,
    ms: quartiles(times[runner]!),
    faster: speedup(times, runner, BASELINE),
  }));
}

const clamp = (value: number, least: number, most: number): number =>
  Math.round(Math.min(most, Math.max(least, value)));

function sessions(shape: readonly number[]): Record<string, ThreadSpec> {
  const native = { model: groupNormModel(shape), options: NATIVE, shape };
  const lowerings = LOWERING_NAMES.map((name): [string, ThreadSpec] => [
    name === 'op' ? BASELINE : `${ORT}, ${name}`,
    { model: groupNormModel(shape, name), options: ortNode(name), shape },
  ]);
  return {
    ...Object.fromEntries(lowerings),
    native,
    'native, using': { ...native, call: 'using' },
    'native, allocated outputs': { ...native, call: 'allocated outputs' },
    'native, allocated outputs, sync': { ...native, call: 'allocated outputs', sync: true },
  };
}

/** One thread copies the bytes of the tensor: what it costs to read and to write them. */
function copyOf(bytes: number): Contestant {
  const [from, to] = [new Uint8Array(bytes).fill(1), new Uint8Array(bytes)];
  const copy = () => to.set(from);
  return {
    turn(calls) {
      for (const start = performance.now(); performance.now() - start < SETTLE_MS;) copy();
      const start = performance.now();
      for (let call = 0; call < calls; call++) copy();
      return Promise.resolve((performance.now() - start) / calls);
    },
    end: () => Promise.resolve(),
  };
}

function print(rows: readonly GroupNormRow[]): void {
  console.log(`${machine()}, float32, ${NUM_GROUPS} groups\n`);
  const cells = rows.map(({ shape, runner, ms, faster }) => [
    `${shape.join('×')}, ${megabytes(shape)}`,
    runner,
    ms.median.toFixed(3),
    formatRatio(faster),
  ]);
  console.log(table(['shape', 'runner', 'ms', 'faster (quartiles)'], cells));
}

await main();
