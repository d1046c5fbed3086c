/**
 * Writes the table of docs/checkpoints.md that compares exports of a U-Net: PyTorch's, optimum's, and this library's from the
 * checkpoint. `scripts/docs/unet_peers.py` writes their files, and this program ours. Loads and runs are processor time on
 * one thread, in paired rounds: with the native kernel, and on plain onnxruntime-node.
 *
 *   python scripts/docs/unet_peers.py FOLDER && node --import tsx bench/unet-peers.ts FOLDER
 */
// Plain onnxruntime-node is what this compares with.
// eslint-disable-next-line no-restricted-imports
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  createSession,
  decodeSafetensors,
  graphFromConfig,
  matchStateDict,
  type TensorData,
  writeModel,
} from '../lib/index.js';
import { ModelProto } from '../lib/onnx/proto.js';
import { quartiles, table } from './statistics.js';

const ROUNDS = 7;

/** The files of a folder, and what made them. */
const FILES = {
  'dynamo.onnx': '`torch.onnx.export(dynamo=True)`',
  'optimum.onnx': "optimum's exporter",
  'op.onnx': 'from the checkpoint, opset 21',
  'layer-norm.onnx': 'from the checkpoint, opset 17, `layer-norm`',
};

interface Contestant {
  readonly run: (inputs: Inputs) => Promise<ArrayLike<number>>;
  readonly load: number;
}

type Inputs = Readonly<Record<string, TensorData>>;

async function main(folder: string): Promise<void> {
  const { tensors } = decodeSafetensors(readFileSync(join(folder, 'reference.safetensors')));
  await writeOurs(folder);
  const inputs = Object.fromEntries(
    [...tensors].flatMap(([key, value]) =>
      key.startsWith('input.') ? [[key.slice(6), value] as const] : [],
    ),
  );
  const truth = tensors.get('truth.y')!.data as Float64Array;
  const files = Object.entries(FILES).filter(([file]) => existsSync(join(folder, file)));
  const rows: string[][] = [];
  const times: Record<string, number[]> = {};
  const all: { name: string; contestant: Contestant }[] = [];
  for (const [file, title] of files) {
    const path = join(folder, file);
    const contestants = [await native(path), await plain(path)];
    const errors: number[] = [];
    for (const contestant of contestants) errors.push(distance(await contestant.run(inputs), truth));
    contestants.forEach((contestant, i) => all.push({ name: `${file} ${i}`, contestant }));
    const nodes = ModelProto.decode(readFileSync(path)).graph!.node!.length;
    const loads = contestants.map(({ load }) => load.toFixed(0));
    const size = (statSync(path).size / 1e6).toFixed(1);
    rows.push([title, `${nodes}`, size, ...loads, file, ...errors.map((error) => error.toExponential(1))]);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, contestant } of round % 2 ? [...all].reverse() : all) {
      const started = processorTime();
      await contestant.run(inputs);
      (times[name] ??= []).push(processorTime() - started);
    }
  }
  const run = (file: string, i: number) => quartiles(times[`${file} ${i}`]!).median.toFixed(0);
  const pytorch = distance(tensors.get('output.y')!.data as Float32Array, truth);
  console.log(
    table(
      [
        'export',
        'nodes',
        'MB',
        'load native',
        'load ort-node',
        'run native',
        'run ort-node',
        'error native',
        'error ort-node',
      ],
      rows.map(([title, nodes, size, a, b, file, ...errors]) =>
        [title, nodes, size, a, b, run(file!, 0), run(file!, 1), ...errors].map((cell) => cell!),
      ),
    ),
  );
  console.log(`\nPyTorch in float32: error ${pytorch.toExponential(1)}`);
}

/** Builds the checkpoint of the folder, as `build --from` does. */
async function writeOurs(folder: string): Promise<void> {
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as object;
  const graph = graphFromConfig(config);
  const { tensors } = decodeSafetensors(readFileSync(join(folder, 'weights.safetensors')));
  const weights = matchStateDict(graph, tensors);
  await writeModel(join(folder, 'op.onnx'), graph, weights, { opset: 21, lowering: 'op' });
  await writeModel(join(folder, 'layer-norm.onnx'), graph, weights, { opset: 17, lowering: 'layer-norm' });
}

async function native(path: string): Promise<Contestant> {
  const started = processorTime();
  const session = await createSession(path, { providers: ['native'], intraOpNumThreads: 1 });
  const load = processorTime() - started;
  const [input, ...others] = session.inputs.map(({ name }) => name);
  const [output] = session.outputs.map(({ name }) => name);
  const names = [input!, ...others];
  return {
    load,
    run: async (inputs) => {
      const feeds = Object.fromEntries(names.map((name) => [name, inputs[name]!]));
      return (await session.run(feeds))[output!]!.data as Float32Array;
    },
  };
}

async function plain(path: string): Promise<Contestant> {
  const started = processorTime();
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1 });
  const load = processorTime() - started;
  return {
    load,
    run: async (inputs) => {
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

await main(process.argv[2] ?? '.');
