/**
 * Times whole networks against other runtimes, and measures the price of the norm: the time of a network over the time of
 * the same network with every GroupNorm taken out, as a BatchNorm that is folded into its convolution would be
 * (norm-free.ts). Each contestant has its own process.
 *
 *   npm run bench:price -- [--rounds N] [--only NETWORK]... [--contestant NAME]... [--exports FOLDER] [--python PYTHON]
 *     [--json FILE]
 *
 * NETWORK is unet, detection-backbone, resnet50-gn or vae-decoder; the last two are in FOLDER, as
 * scripts/exports/make_exports.py writes them. A contestant is named by the start of its name, such as PyTorch. PYTHON has
 * torch and openvino, and timm and diffusers for the exports. Rows of other networks and contestants that FILE has stay in it.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { getGraph } from '../graphs/registry.js';
import { convertModel, encodeModel, initializeWeights, LOWERING_NAMES } from '../lib/index.js';
import { withoutNorms } from './norm-free.js';
import { startProgram } from './programs.js';
import { reportOf, writeReport } from './report.js';
import {
  formatRatio,
  machine,
  normalTensor,
  pairedTurns,
  quartiles,
  speedup,
  table,
  type Contestant as Started,
  type Quartiles,
  type Times,
} from './statistics.js';

const THREADS = availableParallelism();
const PROGRAM = fileURLToPath(new URL('network-program.ts', import.meta.url));
const PEERS = fileURLToPath(new URL('peers.py', import.meta.url));
/** The contestant that the others are compared with: it runs in every part. */
const OURS = 'onnx-groupnorm';
const ORT = 'onnxruntime-node';

/** A network, and how long one contestant takes for it. */
export interface PriceRow {
  readonly network: string;
  readonly shape: string;
  readonly contestant: string;
  /** Milliseconds of a run. */
  readonly ms: Quartiles;
  /** Milliseconds without norms, by the same runtime. */
  readonly without: Quartiles;
  /** The time with norms over the time without. */
  readonly price: Quartiles;
  /** The time over that of `onnx-groupnorm`. */
  readonly overOurs: Quartiles;
  /** Norms that are folded into a convolution in the network without norms, and norms that are only left out. */
  readonly folded: number;
  readonly removed: number;
  /** The share of denormal, infinite and undefined numbers in the network without norms. */
  readonly extraordinary: number;
}

interface Network {
  readonly name: string;
  readonly shape: readonly number[];
  /** Returns a model with GroupNormalization of opset 21. */
  readonly model: (exports: string | undefined) => Uint8Array;
}

const fromRegistry = (name: string): Network => ({
  name,
  shape: [1, 3, 256, 256],
  model: () => {
    const graph = getGraph(name).build({}, { shape: [1, 3, 256, 256] });
    return encodeModel(graph, initializeWeights(graph), { opset: 21, lowering: 'op' });
  },
});

const exported = (name: string, shape: readonly number[]): Network => ({
  name,
  shape,
  model: (exports) => {
    if (exports === undefined) throw new Error('--exports names a folder of scripts/exports/make_exports.py');
    const path = join(exports, `${name}-dynamo21-any`, 'model.onnx');
    if (!existsSync(path)) throw new Error(`${path} is missing: scripts/exports/make_exports.py writes it`);
    return convertModel(readFileSync(path), { merge: true, where: path }).bytes;
  },
});

/** The decoder of Stable Diffusion's autoencoder makes an image of 8 × 8 pixels from each of the latent. */
const NETWORKS: readonly Network[] = [
  fromRegistry('unet'),
  fromRegistry('detection-backbone'),
  exported('resnet50-gn', [1, 3, 224, 224]),
  exported('vae-decoder', [1, 4, 16, 16]),
];

interface Arguments {
  readonly rounds: number;
  readonly contestants: readonly string[];
  readonly exports: string | undefined;
  readonly python: string | undefined;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '10' },
      only: { type: 'string', multiple: true, default: NETWORKS.map(({ name }) => name) },
      contestant: { type: 'string', multiple: true, default: [''] },
      exports: { type: 'string' },
      python: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const { exports, python } = values;
  const rows: PriceRow[] = [];
  const notRun: string[] = [];
  for (const network of NETWORKS.filter(({ name }) => values.only.includes(name))) {
    process.stderr.write(`${network.name} …\n`);
    const wanted = { rounds: Number(values.rounds), contestants: values.contestant, exports, python };
    rows.push(...(await measure(network, wanted, notRun)));
  }
  if (python === undefined) notRun.push('PyTorch, OpenVINO: --python names a Python that has them');
  print(rows, notRun);
  if (values.json) {
    const report = reportOf('npm run bench:price', rows, { python, peers: ['PyTorch', 'OpenVINO'], notRun });
    writeReport(values.json, report, ({ network, contestant }) => `${network} ${contestant}`);
  }
}

/** Paths of the model with norms, and without norms. */
interface Paths {
  readonly withNorms: string;
  readonly without: string;
}

async function measure(network: Network, wanted: Arguments, notRun: string[]): Promise<PriceRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'price-'));
  try {
    const model = network.model(wanted.exports);
    const { bytes, ...soundness } = await withoutNorms(model, normalTensor(network.shape));
    const paths = { withNorms: join(folder, 'with.onnx'), without: join(folder, 'without.onnx') };
    writeFileSync(paths.withNorms, model);
    writeFileSync(paths.without, bytes);
    const isWanted = ({ name }: Contestant) => wanted.contestants.some((start) => name.startsWith(start));
    const known = [...sessions(network, paths), ...peers(network, paths, wanted.python)];
    const all = known.filter((one) => isWanted(one) || one.name === OURS);
    const times = await timeAll(network, all, wanted.rounds, notRun);
    return all
      .filter((one) => isWanted(one) && one.name in times && one.base in times)
      .map(({ name, base }) => ({
        network: network.name,
        shape: network.shape.join('×'),
        contestant: name,
        ms: quartiles(times[name]!),
        without: quartiles(times[base]!),
        price: speedup(times, base, name),
        overOurs: speedup(times, OURS, name),
        ...soundness,
      }));
  } catch (error) {
    notRun.push(`${network.name}: ${(error as Error).message}`);
    return [];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Contestant {
  readonly name: string;
  readonly start: () => Started;
  /** The name of the same runtime without norms. */
  readonly base: string;
  readonly startBase: () => Started;
}

/** Short runs are repeated in a turn, until the slowest contestant has taken about this long. */
const TURN_MS = 200;

const withoutNormsOf = (name: string) => `${name}, without norms`;

function sessions({ shape }: Network, paths: Paths): Contestant[] {
  const start = (path: string, options: object) => () => {
    const json = JSON.stringify({ intraOpNumThreads: THREADS, ...options });
    return startProgram(process.execPath, ['--import', 'tsx', PROGRAM, path, json, shape.join('x')]);
  };
  const session = (name: string, runtime: string, options: object, base: object): Contestant => ({
    name,
    start: start(paths.withNorms, options),
    base: withoutNormsOf(runtime),
    startBase: start(paths.without, base),
  });
  // Without norms there is no reorder to save, and ONNX Runtime's own layout is blocked already.
  const plain = { providers: ['native'], layout: 'plain' };
  return [
    session(OURS, OURS, { providers: ['native'], layout: 'blocked' }, plain),
    session(`${OURS}, plain layout`, OURS, plain, plain),
    ...LOWERING_NAMES.map((groupNorm) =>
      session(`${ORT}, ${groupNorm}`, ORT, { providers: ['cpu'], groupNorm }, { providers: ['cpu'] }),
    ),
  ];
}

const PYTORCH = {
  'PyTorch, eager': 'eager',
  'PyTorch, channels_last': 'channels_last',
  'PyTorch, torch.compile': 'compile',
};

function peers(network: Network, paths: Paths, python: string | undefined): Contestant[] {
  if (python === undefined) return [];
  const peer = (name: string, kind: string, model: string, base: string): Contestant => {
    const start = (path: string, norms: string) => () =>
      startProgram(python, [PEERS, kind, path, norms, String(THREADS), network.shape.join('x')]);
    return {
      name,
      start: start(model, 'with'),
      base: withoutNormsOf(name),
      startBase: start(base, 'without'),
    };
  };
  return [
    // OpenVINO 2026.4 crashes in float32 on fixed shapes of the detection backbone and of ResNet-50.
    peer('OpenVINO', 'openvino', paths.withNorms, paths.without),
    peer('OpenVINO, dynamic shape', 'openvino_dynamic', paths.withNorms, paths.without),
    ...Object.entries(PYTORCH).map(([name, kind]) => peer(name, kind, network.name, network.name)),
  ];
}

/** Times all contestants against each other. A process that fails in its first call is left out, with the reason. */
async function timeAll(
  network: Network,
  contestants: readonly Contestant[],
  rounds: number,
  notRun: string[],
): Promise<Times> {
  const starts = new Map(
    contestants.flatMap(({ name, start, base, startBase }) => [
      [name, start],
      [base, startBase],
    ]),
  );
  const started: Record<string, Started> = {};
  let longest = 0;
  try {
    for (const [name, start] of starts) {
      const process = start();
      try {
        longest = Math.max(longest, await process.turn(1));
        started[name] = process;
      } catch (error) {
        notRun.push(`${network.name}, ${name}: ${(error as Error).message}`);
        await process.end();
      }
    }
    const turns = Object.entries(started).map(([name, { turn }]) => [name, turn] as const);
    const calls = Math.max(1, Math.round(TURN_MS / longest));
    return await pairedTurns(Object.fromEntries(turns), rounds, calls, calls);
  } finally {
    await Promise.all(Object.values(started).map((process) => process.end()));
  }
}

function print(rows: readonly PriceRow[], notRun: readonly string[]): void {
  console.log(`${machine()}, ${THREADS} threads, float32\n`);
  const head = ['network', 'contestant', 'ms', 'without norms', 'price of the norm', `over ${OURS}`];
  const cells = rows.map(({ network, contestant, ms, without, price, overOurs }) => [
    network,
    contestant,
    ms.median.toFixed(1),
    without.median.toFixed(1),
    formatRatio(price),
    formatRatio(overOurs),
  ]);
  console.log(table(head, cells));
  for (const { network, folded, removed, extraordinary } of new Map(
    rows.map((row) => [row.network, row]),
  ).values())
    console.log(
      `\n${network}: ${folded} norms folded, ${removed} left out; ${100 * extraordinary} % of numbers not ordinary`,
    );
  for (const line of notRun) console.log(`\nNot run: ${line}`);
}

await main();
