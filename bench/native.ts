/**
 * The native kernel against onnxruntime-node on the same models: GroupNorm alone, GroupNorm with SiLU, whole
 * networks, a tiny model's overhead, and what a run does to the event loop.
 *
 *   npm run bench:native -- [rounds] [--json FILE] [--python PYTHON-WITH-TORCH]
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { getGraph } from '../graphs/registry.js';
import {
  createSession,
  encodeModel,
  GraphBuilder,
  initializeWeights,
  op,
  type Graph,
  type LoweringName,
} from '../lib/index.js';
import { startPyTorch } from './pytorch.js';
import { groupNormModel, megabytes, NATIVE, ortNode } from './runners.js';
import { timeSessions, type ThreadSpec, type Turns } from './session-threads.js';
import {
  formatRatio,
  machine,
  normalTensor,
  quantile,
  speedup,
  table,
  type Contestant,
  type Quartiles,
} from './statistics.js';

const OPSET = 21;
const LOWERINGS: readonly LoweringName[] = ['reduce-mean', 'instance-norm', 'layer-norm'];

/** One contestant in one setting. */
interface Row {
  readonly setting: string;
  readonly runner: string;
  /** Milliseconds: the median round. */
  readonly median: number;
  /** How many times faster than the first runner of the setting. */
  readonly speedup: Quartiles;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'string' }, python: { type: 'string' } },
    allowPositionals: true,
  });
  const rounds = Number(positionals[0] ?? 30);
  console.log(`${machine()}, float32, 32 groups`);
  const { python } = values;
  const all =
    python === undefined ? SECTIONS : { ...SECTIONS, PyTorch: (n: number) => againstPyTorch(python, n) };
  const sections: Record<string, Row[]> = {};
  for (const [title, measure] of Object.entries(all)) {
    process.stderr.write(`${title} …\n`);
    sections[title] = await measure(rounds);
    print(title, sections[title]);
  }
  if (values.python === undefined) console.log('\nPyTorch: not run (--python names a Python that has torch)');
  const delays = await eventLoopDelays();
  console.log(`\n### Delay of the event loop in an inference of the U-Net, 99th percentile\n`);
  console.log(
    table(
      ['runner', 'ms'],
      Object.entries(delays).map(([name, ms]) => [name, ms.toFixed(1)]),
    ),
  );
  if (values.json) {
    const report = { machine: machine(), rounds, sections, eventLoopDelay: delays };
    await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
  }
}

/** In processes of their own, turn by turn: threads of both at once would measure their quarrel. */
async function againstPyTorch(python: string, rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  const threads = availableParallelism();
  for (const shape of SHAPES) {
    const model = groupNormModel(shape);
    const options = { ...NATIVE, intraOpNumThreads: threads };
    const contestants = {
      'native, allocated outputs': { model, options, shape, call: 'allocated outputs' as const },
    };
    const pytorch = { PyTorch: startPyTorch(python, shape, threads) };
    rows.push(
      ...(await compare(`${shape.join('×')}, ${megabytes(shape)}`, contestants, rounds, {}, pytorch)),
    );
  }
  return rows;
}

const SECTIONS: Record<string, (rounds: number) => Promise<Row[]>> = {
  'GroupNorm alone': groupNormAlone,
  'GroupNorm and SiLU': withSilu,
  'A tiny model': tinyModel,
  Networks: networks,
};

/** From 0.3 to 34 MB. */
const SHAPES = [
  [2, 64, 24, 24],
  [1, 320, 64, 64],
  [8, 256, 32, 32],
  [1, 128, 256, 256],
];

async function groupNormAlone(rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const shape of SHAPES) {
    const graph = getGraph('group-norm').build({ numGroups: 32, numChannels: shape[1]! }, { shape });
    const contestants = { ...forShape(runners(graph), shape), ...callStyles(groupNormModel(shape), shape) };
    rows.push(...(await compare(`${shape.join('×')}, ${megabytes(shape)}`, contestants, rounds)));
  }
  return rows;
}

/** The native kernel called in the ways that `CallStyle` lists, and two of them on the calling thread. */
function callStyles(model: Uint8Array, shape: readonly number[]): Record<string, ThreadSpec> {
  const native = { model, options: NATIVE, shape };
  return {
    'native, outputs': { ...native, call: 'outputs' },
    'native, using': { ...native, call: 'using' },
    'native, allocated outputs': { ...native, call: 'allocated outputs' },
    'native, using, sync': { ...native, call: 'using', sync: true },
    'native, allocated outputs, sync': { ...native, call: 'allocated outputs', sync: true },
  };
}

async function withSilu(rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const shape of SHAPES) {
    const model = (hasSilu: boolean) => {
      const g = new GraphBuilder('silu');
      const norm = op.groupNormalization(g, g.input('x', 'float32', shape), undefined, undefined, {
        numGroups: 32,
      });
      g.output('y', hasSilu ? op.silu(g, norm) : norm);
      return encodeModel(g.build(), new Map(), { opset: OPSET, lowering: 'op' });
    };
    const contestants = {
      'native, GroupNorm alone': { model: model(false), options: NATIVE, shape },
      'native, GroupNorm and SiLU': { model: model(true), options: NATIVE, shape },
      'onnxruntime-node, GroupNorm and SiLU': { model: model(true), options: ortNode('reduce-mean'), shape },
    };
    rows.push(...(await compare(`${shape.join('×')}, ${megabytes(shape)}`, contestants, rounds)));
  }
  return rows;
}

/** What a call costs besides the work. */
function tinyModel(rounds: number): Promise<Row[]> {
  const shape = [1, 32, 8, 8];
  const g = new GraphBuilder('tiny');
  g.output('y', op.relu(g, g.input('x', 'float32', shape)));
  const model = encodeModel(g.build(), new Map(), { opset: OPSET });
  const native = { model, options: NATIVE, shape };
  const contestants = {
    'onnxruntime-node': { model, options: ortNode('reduce-mean'), shape },
    native,
    'native, sync': { ...native, sync: true },
  };
  return compare('Relu of 1×32×8×8', contestants, rounds, { calls: 200 });
}

const NETWORKS = ['unet', 'detection-backbone'];

async function networks(rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of NETWORKS) {
    const contestants = forShape(runners(getGraph(name).build({})), [1, 3, 256, 256]);
    rows.push(...(await compare(name, contestants, Math.ceil(rounds / 3), { calls: 1, warmUp: 1 })));
  }
  return rows;
}

type Runner = Omit<ThreadSpec, 'shape'>;

/** onnxruntime-node with every lowering, and the native kernel. */
function runners(graph: Graph): Record<string, Runner> {
  const weights = initializeWeights(graph);
  const encode = (lowering: LoweringName) => encodeModel(graph, weights, { opset: OPSET, lowering });
  const all: Record<string, Runner> = {
    'onnxruntime-node, inlined operator': { model: encode('op'), options: ortNode('op') },
  };
  for (const name of LOWERINGS)
    all[`onnxruntime-node, ${name}`] = { model: encode(name), options: ortNode(name) };
  return { ...all, native: { model: encode('op'), options: NATIVE } };
}

const forShape = (
  all: Readonly<Record<string, Runner>>,
  shape: readonly number[],
): Record<string, ThreadSpec> =>
  Object.fromEntries(Object.entries(all).map(([name, runner]) => [name, { ...runner, shape }]));

/** All against the first. */
async function compare(
  setting: string,
  contestants: Readonly<Record<string, ThreadSpec>>,
  rounds: number,
  turns: Turns = {},
  others: Readonly<Record<string, Contestant>> = {},
): Promise<Row[]> {
  const times = await timeSessions(contestants, rounds, turns, others);
  const [first = ''] = Object.keys(times);
  return Object.entries(times).map(([runner, own]) => ({
    setting,
    runner,
    median: quantile(own, 0.5),
    speedup: speedup(times, runner, first),
  }));
}

async function eventLoopDelays(): Promise<Record<string, number>> {
  const graph = getGraph('unet').build({});
  const model = encodeModel(graph, initializeWeights(graph), { opset: OPSET });
  const x = normalTensor([1, 3, 256, 256]);
  const delays: Record<string, number> = {};
  for (const provider of ['cpu', 'native'] as const) {
    const groupNorm = provider === 'cpu' ? ('reduce-mean' as const) : undefined;
    await using session = await createSession(model, { providers: [provider], groupNorm });
    await session.run({ x });
    const histogram = monitorEventLoopDelay({ resolution: 1 });
    histogram.enable();
    for (let run = 0; run < 3; run++) await session.run({ x });
    // The delay is known when the loop turns again.
    await new Promise((resolve) => setTimeout(resolve, 5));
    histogram.disable();
    delays[provider === 'cpu' ? 'onnxruntime-node' : 'native'] = histogram.percentile(99) / 1e6;
  }
  return delays;
}

function print(title: string, rows: readonly Row[]): void {
  const cells = rows.map(({ setting, runner, median, speedup: ratio }) => [
    setting,
    runner,
    median.toFixed(3),
    formatRatio(ratio),
  ]);
  console.log(`\n### ${title}\n\n${table(['', 'runner', 'ms', 'faster (quartiles)'], cells)}`);
}

await main();
