/**
 * Compares exports of a U-Net: PyTorch's, optimum's, and this library's from the checkpoint. `scripts/docs/unet_peers.py`
 * writes their files, and this program ours. Loads and runs are processor time on one thread, in paired rounds: with the
 * native kernel, and on plain onnxruntime-node.
 *
 *   python scripts/docs/unet_peers.py FOLDER && node --import tsx bench/unet-peers.ts FOLDER [--json FILE]
 */
// Plain onnxruntime-node is what this compares with.
// eslint-disable-next-line no-restricted-imports
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  createSession,
  decodeSafetensors,
  graphFromConfig,
  matchStateDict,
  tensor,
  type TensorData,
  writeModel,
} from '../lib/index.js';
import { ModelProto } from '../lib/onnx/protobuf/proto.js';
import { reportOf, writeReport } from './report.js';
import { quartiles } from './statistics.js';

/** A figure with the native kernel, and one on plain onnxruntime-node. */
type OnBoth = Readonly<Record<'native' | 'plain', number>>;

/** An export of the U-Net. */
export interface UNetPeerRow {
  /** What made the file. */
  readonly export: string;
  readonly nodes: number;
  readonly bytes: number;
  /** Milliseconds of processor time on one thread. */
  readonly load: OnBoth;
  readonly run: OnBoth;
  /** The largest distance from float64; PyTorch's float32 has `pytorchError`. */
  readonly error: OnBoth;
  readonly pytorchError: number;
}

const ROUNDS = 7;

/** The files of a folder, and what made them. */
const FILES = {
  'dynamo.onnx': '`torch.onnx.export(dynamo=True)`',
  'optimum.onnx': "optimum's exporter",
  'op.onnx': 'from the checkpoint, opset 21',
  'layer-norm.onnx': 'from the checkpoint, opset 17, `layer-norm`',
};

interface Contestant {
  readonly run: () => Promise<ArrayLike<number>>;
  readonly load: number;
}

type Inputs = Readonly<Record<string, TensorData>>;

async function main(folder: string, json: string | undefined): Promise<void> {
  const { tensors } = decodeSafetensors(readFileSync(join(folder, 'reference.safetensors')));
  await writeOurs(folder);
  const inputs = Object.fromEntries(
    [...tensors].flatMap(([key, value]) =>
      key.startsWith('input.') ? [[key.slice(6), value] as const] : [],
    ),
  );
  const truth = tensors.get('truth.y')!.data as Float64Array;
  const files = Object.keys(FILES).filter((file) => existsSync(join(folder, file)));
  const times = new Map<Contestant, number[]>();
  const contestants = new Map<string, { native: Contestant; plain: Contestant }>();
  for (const file of files) {
    const path = join(folder, file);
    const own = file === 'optimum.onnx' ? { ...inputs, timestep: asScalar(inputs['timestep']!) } : inputs;
    const both = { native: await native(path, own), plain: await plain(path, own) };
    contestants.set(file, both);
    for (const contestant of Object.values(both)) times.set(contestant, []);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [contestant, own] of round % 2 ? [...times].reverse() : times) {
      const started = processorTime();
      await contestant.run();
      own.push(processorTime() - started);
    }
  }
  const pytorchError = distance(tensors.get('output.y')!.data as Float32Array, truth);
  const rows: UNetPeerRow[] = [];
  for (const [file, both] of contestants) {
    const error = async ({ run }: Contestant) => distance(await run(), truth);
    const run = (contestant: Contestant) => quartiles(times.get(contestant)!).median;
    rows.push({
      export: FILES[file as keyof typeof FILES],
      nodes: ModelProto.decode(readFileSync(join(folder, file))).graph!.node!.length,
      bytes: statSync(join(folder, file)).size,
      load: { native: both.native.load, plain: both.plain.load },
      run: { native: run(both.native), plain: run(both.plain) },
      error: { native: await error(both.native), plain: await error(both.plain) },
      pytorchError,
    });
  }
  console.table(rows.map(({ load, run, error, ...row }) => ({ ...row, ...flat({ load, run, error }) })));
  if (json !== undefined) {
    const report = reportOf('bench/unet-peers.ts', rows);
    writeReport(json, report, (row) => row.export);
  }
}

/** Returns a timestep as optimum's exporter declares it. */
const asScalar = ({ data }: TensorData): TensorData =>
  tensor('float32', [], Float32Array.of(Number(data[0])));

/** Returns `{ 'load native': …, 'load plain': …, … }`. */
const flat = (figures: Readonly<Record<string, OnBoth>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(figures).flatMap(([name, both]) =>
      Object.entries(both).map(([where, value]) => [`${name} ${where}`, Number(value.toPrecision(3))]),
    ),
  );

/** Builds the checkpoint of the folder, as `build --from` does. */
async function writeOurs(folder: string): Promise<void> {
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as object;
  const graph = graphFromConfig(config);
  const { tensors } = decodeSafetensors(readFileSync(join(folder, 'weights.safetensors')));
  const weights = matchStateDict(graph, tensors);
  await writeModel(join(folder, 'op.onnx'), graph, weights, { opset: 21, lowering: 'op' });
  await writeModel(join(folder, 'layer-norm.onnx'), graph, weights, { opset: 17, lowering: 'layer-norm' });
}

async function native(path: string, inputs: Inputs): Promise<Contestant> {
  const started = processorTime();
  const session = await createSession(path, { providers: ['native'], intraOpNumThreads: 1 });
  const load = processorTime() - started;
  const [input, ...others] = session.inputs.map(({ name }) => name);
  const [output] = session.outputs.map(({ name }) => name);
  const names = [input!, ...others];
  return {
    load,
    run: async () => {
      const feeds = Object.fromEntries(names.map((name) => [name, inputs[name]!]));
      return (await session.run(feeds))[output!]!.data as Float32Array;
    },
  };
}

async function plain(path: string, inputs: Inputs): Promise<Contestant> {
  const started = processorTime();
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1 });
  const load = processorTime() - started;
  return {
    load,
    run: async () => {
      const feeds = session.inputNames.map((name) => {
        const { dtype, data, dims } = inputs[name]!;
        return [name, new Tensor(dtype as 'float32', data as Float32Array, [...dims])] as const;
      });
      const results = await session.run(Object.fromEntries(feeds));
      return results[session.outputNames[0]!]!.data as Float32Array;
    },
  };
}

/** Returns the milliseconds of processor time that this process has used. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < b.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'string' } },
  allowPositionals: true,
});
await main(positionals[0] ?? '.', values.json);
