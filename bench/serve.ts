/**
 * The server against one as people write it, with fastify and onnxruntime-node (peer-server.mjs). Both answer with binary
 * tensors to the same clients, in turns; each server and the clients have a process of their own. The clients take a share of
 * the processor: on two cores, small models wait for them.
 *
 *   npm run bench:serve -- [seconds of a turn]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { doubleConv } from '../graphs/double-conv.js';
import { getGraph } from '../graphs/registry.js';
import { GraphBuilder } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import { encodeModel, type Graph, initializeWeights } from '../lib/index.js';
import type { ServingOptions } from '../lib/server/index.js';
import { tensorBytes } from '../lib/tensor.js';
import { formatRatio, machine, normalTensor, quartiles, table } from './statistics.js';

const ROUNDS = 3;
const CONNECTIONS = [16, 64];

/** Two convolutions with GroupNorm, and a linear layer of their means. */
function classifier(): Graph {
  const g = new GraphBuilder('classifier');
  const hidden = doubleConv(g, g.input('x', 'float32', ['N', 3, 32, 32]), { outChannels: 16 });
  const weight = g.parameter('weight', { dtype: 'float32', shape: [16, 10] });
  g.output('y', op.gemm(g, op.flatten(g, op.globalAveragePool(g, hidden)), weight, undefined));
  return g.build();
}

interface Case {
  readonly graph: Graph;
  readonly shape: readonly number[];
  /** How this project's server runs the model. */
  readonly serving: ServingOptions;
}

const CASES: Readonly<Record<string, Case>> = {
  'classifier, 1×3×32×32, batches of 32': {
    graph: classifier(),
    shape: [1, 3, 32, 32],
    serving: { maxBatchSize: 32 },
  },
  'U-Net of width 32, 1×3×64×64': {
    graph: getGraph('unet').build({ width: 32 }),
    shape: [1, 3, 64, 64],
    serving: {},
  },
  'U-Net of width 32, 1×3×64×64, an instance per core': {
    graph: getGraph('unet').build({ width: 32 }),
    shape: [1, 3, 64, 64],
    serving: { instances: availableParallelism() },
  },
};

interface Load {
  readonly requests: { readonly average: number };
  /** Milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number };
  readonly non2xx: number;
  readonly errors: number;
}
type Autocannon = (options: object) => Promise<Load>;
// It has no types.
const autocannon = createRequire(import.meta.url)('autocannon') as Autocannon;

/** A server in a process of its own. */
interface Server {
  readonly process: ChildProcess;
  readonly request: { readonly url: string; readonly headers: Record<string, string>; readonly body: Buffer };
}

async function start(
  file: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; address: string }> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [address] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, address };
}

async function startPeer(model: string, { shape }: Case): Promise<Server> {
  const { child, address } = await start('peer-server.mjs', [model, shape.join('x')]);
  const headers = { 'content-type': 'application/octet-stream' };
  const body = Buffer.from(tensorBytes(normalTensor(shape)));
  return { process: child, request: { url: `${address}/infer`, headers, body } };
}

async function startOwn(model: string, { shape, serving }: Case): Promise<Server> {
  const { child, address } = await start('own-server.ts', [model, JSON.stringify(serving)]);
  const tensor = Buffer.from(tensorBytes(normalTensor(shape)));
  const input = { name: 'x', shape, datatype: 'FP32', parameters: { binary_data_size: tensor.length } };
  const json = Buffer.from(JSON.stringify({ inputs: [input], parameters: { binary_data_output: true } }));
  const headers = { 'inference-header-content-length': String(json.length) };
  const body = Buffer.concat([json, tensor]);
  return { process: child, request: { url: `${address}/v2/models/model/infer`, headers, body } };
}

async function turn({ request }: Server, connections: number, seconds: number): Promise<Load> {
  const load = await autocannon({ ...request, method: 'POST', connections, duration: seconds });
  // A server may go on with requests whose clients have left, at the cost of the next turn: its next answer comes after them.
  await (await fetch(request.url, { ...request, method: 'POST' })).arrayBuffer();
  if (load.non2xx > 0 || load.errors > 0)
    throw new Error(`${load.non2xx} answers and ${load.errors} requests failed`);
  return load;
}

async function compare(name: string, folder: string, seconds: number): Promise<string[][]> {
  const one = CASES[name]!;
  const model = join(folder, 'model.onnx');
  // As PyTorch's exporter writes GroupNorm below opset 21.
  writeFileSync(
    model,
    encodeModel(one.graph, initializeWeights(one.graph), { opset: 17, lowering: 'instance-norm' }),
  );
  const [peer, own] = [await startPeer(model, one), await startOwn(model, one)];
  const rows: string[][] = [];
  for (const connections of CONNECTIONS) {
    const turns: { peer: Load; own: Load }[] = [];
    for (let round = -1; round < ROUNDS; round++) {
      const length = round < 0 ? 1 : seconds;
      const both = { peer: await turn(peer, connections, length), own: await turn(own, connections, length) };
      if (round >= 0) turns.push(both);
    }
    const middle = (read: (load: Load) => number, who: 'peer' | 'own') =>
      quartiles(turns.map((both) => read(both[who]))).median.toFixed(0);
    const ratio = (read: (load: Load) => number) =>
      formatRatio(quartiles(turns.map(({ peer, own }) => read(own) / read(peer))));
    const [rate, p99] = [(load: Load) => load.requests.average, (load: Load) => load.latency.p99];
    rows.push([
      name,
      String(connections),
      ...[middle(rate, 'peer'), middle(rate, 'own'), ratio(rate)],
      ...[middle(p99, 'peer'), middle(p99, 'own'), ratio(p99)],
    ]);
  }
  for (const server of [peer, own]) {
    server.process.kill();
    await once(server.process, 'exit');
  }
  return rows;
}

const seconds = Number(process.argv[2] ?? 5);
if (!(Number.isInteger(seconds) && seconds > 0)) {
  console.error('bench:serve takes the seconds of a turn, an integer above 0; 5 by default');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'onnx-groupnorm-bench-'));
try {
  const rows: string[][] = [];
  for (const name of Object.keys(CASES)) rows.push(...(await compare(name, folder, seconds)));
  const head = ['model', 'connections', 'peer, requests/s', 'own', 'own against peer'];
  console.log(`${machine()}\n`);
  console.log(table([...head, 'peer, p99, ms', 'own', 'own against peer'], rows));
} finally {
  rmSync(folder, { recursive: true });
}
