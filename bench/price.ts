/**
 * Measures the price of the norm: the time of a network over the time of the same network with every GroupNorm taken out,
 * as a BatchNorm that is folded into its convolution would be. Each contestant, with norms and without, has its own process.
 *
 *   npm run bench:price -- [--rounds N] [--only TEXT] [--export MODEL.onnx@1x3x224x224]... [--python PYTHON] [--json FILE]
 *
 * The networks are the registry's U-Net and detection backbone at 256², and each export with its shape of the input;
 * scripts/exports/make_exports.py makes exports. A Python that has torch, and openvino, brings the peers.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { getGraph } from '../graphs/registry.js';
import { convertModel, encodeModel, initializeWeights, LOWERING_NAMES } from '../lib/index.js';
import { Model } from '../lib/onnx/model.js';
import { startProgram } from './programs.js';
import {
  formatRatio,
  machine,
  pairedTurns,
  quantile,
  speedup,
  table,
  type Contestant,
  type Quartiles,
  type Times,
} from './statistics.js';

const THREADS = availableParallelism();
const PROGRAM = fileURLToPath(new URL('network-program.ts', import.meta.url));
const PEERS = fileURLToPath(new URL('peers.py', import.meta.url));
const FIRST = 'native, plain layout';
const ORT = 'onnxruntime-node';

interface Network {
  readonly name: string;
  readonly shape: string;
  /** A model with GroupNormalization of opset 21. */
  readonly model: () => Uint8Array;
  /** Whether scripts/fixtures/ has the network as a module of PyTorch. */
  readonly isModule: boolean;
}

/** The network of a contestant with norms, and without: a process each. */
interface Pair {
  readonly withNorms: () => Contestant;
  readonly without: () => Contestant;
}

interface Row {
  readonly network: string;
  readonly contestant: string;
  /** Milliseconds: the median and the least round. */
  readonly median: number;
  readonly least: number;
  readonly medianWithout: number;
  readonly price: Quartiles;
  /** The contestant's time over that of the first. */
  readonly againstFirst: Quartiles;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '10' },
      only: { type: 'string', default: '' },
      export: { type: 'string', multiple: true, default: [] },
      python: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const networks = [...REGISTRY, ...values.export.map(exported)];
  const rows: Row[] = [];
  const notRun: string[] = [];
  for (const network of networks.filter(({ name }) => name.includes(values.only))) {
    process.stderr.write(`${network.name} …\n`);
    rows.push(...(await measure(network, values.python, Number(values.rounds), notRun)));
  }
  if (values.python === undefined) notRun.push('PyTorch, OpenVINO: --python names a Python that has them');
  print(rows, notRun);
  if (values.json) {
    const report = { machine: machine(), threads: THREADS, rounds: Number(values.rounds), rows, notRun };
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  }
}

const REGISTRY: readonly Network[] = ['unet', 'detection-backbone'].map((name) => ({
  name,
  shape: '1x3x256x256',
  model: () => {
    const graph = getGraph(name).build({}, { shape: [1, 3, 256, 256] });
    return encodeModel(graph, initializeWeights(graph), { opset: 21, lowering: 'op' });
  },
  isModule: true,
}));

function exported(argument: string): Network {
  const [, path, shape] = /^(.+)@(\d+(?:x\d+)*)$/.exec(argument) ?? [];
  if (path === undefined || shape === undefined)
    throw new Error(`--export takes MODEL.onnx@SHAPE, such as resnet50.onnx@1x3x224x224; got '${argument}'`);
  const name = basename(path) === 'model.onnx' ? basename(dirname(path)) : basename(path, '.onnx');
  const model = () => convertModel(readFileSync(path), { merge: true, where: path }).bytes;
  return { name, shape, model, isModule: false };
}

/** Returns the model without its GroupNormalization nodes: what read the output of a node reads its input. */
function withoutNorms(bytes: Uint8Array): Uint8Array {
  const model = Model.decode(bytes);
  const norms = model.nodes.filter(({ opType }) => opType === 'GroupNormalization');
  if (norms.length === 0) throw new Error('the model does not have a GroupNormalization');
  const outputs = new Set(norms.map(({ outputs: [y] }) => y!));
  const inputs = new Map(norms.map((norm) => [norm.outputs[0]!, norm.inputs[0]!]));
  const sourceOf = (name: string): string => {
    const x = inputs.get(name);
    return x === undefined ? name : sourceOf(x);
  };
  model.removeNodes((node) => outputs.has(node.outputs[0] ?? ''));
  model.renameValues(new Map([...outputs].map((y) => [y, sourceOf(y)])));
  return model.encode();
}

async function measure(
  network: Network,
  python: string | undefined,
  rounds: number,
  notRun: string[],
): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'price-'));
  try {
    const model = network.model();
    const paths = { withNorms: join(folder, 'with.onnx'), without: join(folder, 'without.onnx') };
    writeFileSync(paths.withNorms, model);
    writeFileSync(paths.without, withoutNorms(model));
    const pairs = {
      ...sessions(network, paths),
      ...(python === undefined ? {} : peers(network, paths, python)),
    };
    const times = await timePairs(network, pairs, rounds, notRun);
    return rowsOf(network, times);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Paths = Readonly<Record<keyof Pair, string>>;

function sessions({ shape }: Network, paths: Paths): Record<string, Pair> {
  const start = (path: string, options: object) => () =>
    startProgram(process.execPath, [
      '--import',
      'tsx',
      PROGRAM,
      path,
      JSON.stringify({ intraOpNumThreads: THREADS, ...options }),
      shape,
    ]);
  const pair = (options: object): Pair => ({
    withNorms: start(paths.withNorms, options),
    without: start(paths.without, options),
  });
  const lowerings = LOWERING_NAMES.map(
    (groupNorm) => [`${ORT}, ${groupNorm}`, pair({ providers: ['cpu'], groupNorm })] as const,
  );
  return {
    [FIRST]: pair({ providers: ['native'], layout: 'plain' }),
    'native, blocked layout': {
      withNorms: start(paths.withNorms, { providers: ['native'], layout: 'blocked' }),
      // Without norms there is no reorder to save, and ONNX Runtime's own layout is blocked already.
      without: start(paths.without, { providers: ['native'], layout: 'plain' }),
    },
    ...Object.fromEntries(lowerings),
  };
}

const PYTORCH = {
  PyTorch: 'eager',
  'PyTorch, channels_last': 'channels_last',
  'PyTorch, compile': 'compile',
};

function peers(network: Network, paths: Paths, python: string): Record<string, Pair> {
  const start = (kind: string, model: string, norms: string) => () =>
    startProgram(python, [PEERS, kind, model, norms, String(THREADS), network.shape]);
  const openvino: Pair = {
    withNorms: start('openvino', paths.withNorms, 'with'),
    without: start('openvino', paths.without, 'without'),
  };
  const modules = Object.entries(PYTORCH).map(([name, kind]): [string, Pair] => [
    name,
    { withNorms: start(kind, network.name, 'with'), without: start(kind, network.name, 'without') },
  ]);
  return { OpenVINO: openvino, ...Object.fromEntries(modules) };
}

const without = (name: string) => `${name}, without norms`;

/** Times all pairs against each other. A pair that fails in its first call is left out, with the reason. */
async function timePairs(
  network: Network,
  pairs: Readonly<Record<string, Pair>>,
  rounds: number,
  notRun: string[],
): Promise<Times> {
  const started: Record<string, Contestant> = {};
  try {
    for (const [name, pair] of Object.entries(pairs)) {
      const both = { [name]: pair.withNorms(), [without(name)]: pair.without() };
      try {
        for (const { turn } of Object.values(both)) await turn(1);
        Object.assign(started, both);
      } catch (error) {
        notRun.push(`${network.name}, ${name}: ${(error as Error).message}`);
        await Promise.all(Object.values(both).map((contestant) => contestant.end()));
      }
    }
    const turns = Object.entries(started).map(([name, { turn }]) => [name, turn] as const);
    return await pairedTurns(Object.fromEntries(turns), rounds, 1, 1);
  } finally {
    await Promise.all(Object.values(started).map((contestant) => contestant.end()));
  }
}

/** Of the lowerings of onnxruntime-node, the fastest alone. */
function rowsOf(network: Network, times: Times): Row[] {
  const names = Object.keys(times).filter((name) => without(name) in times);
  const [best] = names
    .filter((name) => name.startsWith(ORT))
    .sort((a, b) => quantile(times[a]!, 0.5) - quantile(times[b]!, 0.5));
  return names
    .filter((name) => name === best || !name.startsWith(ORT))
    .map((contestant) => ({
      network: network.name,
      contestant,
      median: quantile(times[contestant]!, 0.5),
      least: quantile(times[contestant]!, 0),
      medianWithout: quantile(times[without(contestant)]!, 0.5),
      price: speedup(times, without(contestant), contestant),
      againstFirst: speedup(times, FIRST, contestant),
    }));
}

function print(rows: readonly Row[], notRun: readonly string[]): void {
  console.log(`${machine()}, ${THREADS} threads, float32\n`);
  const head = ['network', 'contestant', 'ms (least)', 'without norms', 'price of the norm', `over ${FIRST}`];
  const cells = rows.map((row) => [
    row.network,
    row.contestant,
    `${row.median.toFixed(1)} (${row.least.toFixed(1)})`,
    row.medianWithout.toFixed(1),
    formatRatio(row.price),
    formatRatio(row.againstFirst),
  ]);
  console.log(table(head, cells));
  for (const line of notRun) console.log(`\nNot run: ${line}`);
}

await main();
