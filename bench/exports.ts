/**
 * Exports of public networks against plain onnxruntime-node: processor time of one run on one thread, with the native
 * kernel (`native`; `sync` on the calling thread, where onnxruntime-node runs) and without it (`cpu`), and the distance of each
 * from float64.
 *
 *   npm run bench:exports -- FOLDER [--rounds N] [--only TEXT] [--json FILE]
 *
 * scripts/exports/make_exports.py writes the folder. A report that exists keeps its other exports.
 */
// Plain onnxruntime-node is what this compares with.
// eslint-disable-next-line no-restricted-imports
import * as ort from 'onnxruntime-node';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createSession, decodeSafetensors, type Session, type TensorData } from '../lib/index.js';
import type { Platform } from '../lib/runtime/core/contract.js';
import { openSession } from '../lib/runtime/session/open.js';
import { NODE } from '../lib/runtime/node.js';
import { cpuBackend } from '../lib/runtime/ort-node/model.js';
import { reportOf, writeReport } from './report.js';
import { formatRatio, quantile, quartiles, type Quartiles } from './statistics.js';

/** A turn lasts at least this long, because processor time is counted in steps of up to a millisecond. */
const TURN_MS = 30;

const PLAIN = 'onnxruntime-node';
const WITHOUT_ADDON: Platform = { ...NODE, backends: { cpu: [cpuBackend] } };
const OURS = ['native', 'sync', 'cpu'] as const;
type Ours = (typeof OURS)[number];

interface Tensors {
  readonly inputs: Readonly<Record<string, TensorData>>;
  readonly output: TensorData;
  readonly truth: TensorData;
}

/** One export of a network. */
export interface ExportRow {
  readonly network: string;
  /** How it was exported, such as `dynamo21-any`. */
  readonly form: string;
  /** Milliseconds of processor time with plain onnxruntime-node. */
  readonly plain: number;
  /** How many times as fast our sessions are, as far as they were measured. */
  readonly speedups: Partial<Measured['speedups']>;
  /** Distance from float64 over PyTorch's distance. */
  readonly errors: Partial<Measured['errors']>;
}

/** A network that was just measured, on all sessions. */
interface Measured extends Pick<ExportRow, 'network' | 'form' | 'plain'> {
  readonly speedups: Readonly<Record<Ours, Quartiles>>;
  readonly errors: Readonly<Record<Ours | typeof PLAIN, number>>;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      rounds: { type: 'string', default: '15' },
      only: { type: 'string', default: '' },
      json: { type: 'string' },
    },
    allowPositionals: true,
  });
  const [folder] = positionals;
  if (folder === undefined)
    throw new Error('name the folder that scripts/exports/make_exports.py has written');
  const names = readdirSync(folder).filter(
    (name) => name.includes(values.only) && existsSync(join(folder, name, 'tensors.safetensors')),
  );
  for (const name of names) {
    try {
      const row = await measure(join(folder, name), name, Number(values.rounds));
      print(row);
      if (values.json !== undefined)
        writeReport(
          values.json,
          reportOf('npm run bench:exports', [row]),
          ({ network, form }) => `${network}-${form}`,
        );
    } catch (error) {
      process.stderr.write(`${name} does not run: ${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  }
}

async function measure(folder: string, name: string, rounds: number): Promise<Measured> {
  const path = join(folder, 'model.onnx');
  const [, network = name, form = ''] = /^(.+)-((?:ts|dynamo)\d+(?:-any)?)$/.exec(name) ?? [];
  const tensors = readTensors(join(folder, 'tensors.safetensors'));
  const plain = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const feeds = Object.fromEntries(
    Object.entries(tensors.inputs).map(([input, { dtype, data, dims }]) => [
      input,
      new ort.Tensor(dtype as 'float32', data as Float32Array, dims),
    ]),
  );
  const output = plain.outputNames[0]!;
  const native = await createSession(path, { providers: ['native'], intraOpNumThreads: 1 });
  const cpu = await openSession(WITHOUT_ADDON, path, { providers: ['cpu'], intraOpNumThreads: 1 });
  const run =
    (session: Session, sync = false) =>
    async () =>
      (await session.run(tensors.inputs, { sync }))[output]!;
  const runs = {
    [PLAIN]: async () => (await plain.run(feeds))[output]!,
    native: run(native),
    sync: run(native, true),
    cpu: run(cpu),
  };
  const errors = {} as Record<keyof typeof runs, number>;
  const pytorch = distance(tensors.output.data as Float32Array, tensors.truth);
  for (const [runner, call] of entries(runs)) {
    errors[runner] = distance((await call()).data as Float32Array, tensors.truth) / pytorch;
  }
  const times = await processorTimes(runs, rounds);
  const ratio = (ours: Ours) => quartiles(times[ours].map((time, round) => times[PLAIN][round]! / time));
  const unmerged = [native, cpu].filter((session) => session.groupNorm === undefined);
  if (unmerged.length > 0) process.stderr.write(`${name}: a session found no GroupNorm\n`);
  await Promise.all([plain.release(), native.dispose(), cpu.dispose()]);
  return {
    network,
    form,
    plain: quantile(times[PLAIN], 0.5),
    speedups: { native: ratio('native'), sync: ratio('sync'), cpu: ratio('cpu') },
    errors,
  };
}

function readTensors(path: string): Tensors {
  const { tensors } = decodeSafetensors(readFileSync(path), path);
  const inputs: Record<string, TensorData> = {};
  for (const [key, value] of tensors) {
    if (key.startsWith('input.')) inputs[key.slice('input.'.length)] = value;
  }
  return { inputs, output: tensors.get('output.y')!, truth: tensors.get('truth.y')! };
}

/** Returns the largest distance from float64. */
function distance(values: Float32Array, truth: TensorData): number {
  const expected = truth.data as Float64Array;
  if (values.length !== expected.length) return NaN;
  return values.reduce((max, value, i) => Math.max(max, Math.abs(value - expected[i]!)), 0);
}

/** Returns the milliseconds of processor time of one run in each round. The contestants run in turn in every round. */
async function processorTimes<Name extends string>(
  runs: Readonly<Record<Name, () => Promise<unknown>>>,
  rounds: number,
): Promise<Record<Name, number[]>> {
  const all = entries(runs);
  const times = Object.fromEntries(all.map(([name]) => [name, [] as number[]])) as Record<Name, number[]>;
  const calls = Math.max(1, Math.ceil(TURN_MS / (await processorTime(all[0]![1], 2))));
  for (let round = -1; round < rounds; round++) {
    for (const [name, run] of round % 2 === 0 ? all : [...all].reverse()) {
      const time = await processorTime(run, calls);
      if (round >= 0) times[name].push(time);
    }
  }
  return times;
}

async function processorTime(run: () => Promise<unknown>, calls: number): Promise<number> {
  const before = process.cpuUsage();
  for (let call = 0; call < calls; call++) await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / calls;
}

const entries = <Key extends string, Value>(record: Readonly<Record<Key, Value>>): [Key, Value][] =>
  Object.entries(record) as [Key, Value][];

function print({ network, form, plain, speedups, errors }: Measured): void {
  const ours = OURS.map((name) => `${name} ${formatRatio(speedups[name])}`);
  const distances = entries(errors).map(([name, error]) => `${name} ${error.toFixed(1)}`);
  console.log(
    `${network}-${form}: ${plain.toFixed(1)} ms; ${ours.join(', ')}; distance: ${distances.join(', ')}`,
  );
}

await main();
