/**
 * Requests a second and their time, over HTTP on the loopback: `onnx-groupnorm serve` against onnxruntime-node in a handler of
 * fastify, and against Triton, whose Python backend calls onnxruntime. All servers run at once, and have the load in turn.
 *
 *   npm run bench:serve -- [--model FILE --shape 3,224,224] [--connections 16,64] [--rounds 5] [--seconds 4]
 *     [--batch 8] [--delay 0] [--flags '--instances 2'] [--triton VENV] [--json FILE]
 *
 * Without a model: GroupNorm and SiLU of 320×64×64. --flags go to `serve`. VENV is a virtual environment with nvidia-pytriton, which carries Triton, and
 * onnxruntime; without it a line says that Triton did not run. The peers get the model as PyTorch exports GroupNorm
 * (instance-norm): the fastest form in ONNX Runtime. A row without batching is there where --batch is above 1.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  convertModel,
  createSession,
  encodeModel,
  GraphBuilder,
  initializeWeights,
  op,
  type Session,
} from '../lib/index.js';
import { reportOf, writeReport } from './report.js';
import type { Load, LoadFigures } from './serve-load.js';
import {
  formatRatio,
  machine,
  normalTensor,
  quantile,
  quartiles,
  table,
  type Quartiles,
} from './statistics.js';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    shape: { type: 'string', default: '320,64,64' },
    connections: { type: 'string', default: '16,64' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    batch: { type: 'string', default: '8' },
    delay: { type: 'string', default: '0' },
    flags: { type: 'string', default: '' },
    triton: { type: 'string' },
    json: { type: 'string' },
  },
});

const shape = options.shape.split(',').map(Number);
const batch = Number(options.batch);

/** What a server did under load, over the rounds. Times are milliseconds. */
export interface ServeRow {
  readonly model: string;
  readonly shape: string;
  readonly connections: number;
  readonly server: string;
  readonly perSecond: Quartiles;
  readonly p50: Quartiles;
  readonly p99: Quartiles;
  readonly failed: number;
}

/** A server that runs, and the request that it takes. */
interface Server {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const folder = mkdtempSync(join(tmpdir(), 'bench-serve-'));
const children: ChildProcess[] = [];

/** Starts a program. @returns The first line of its stdout that `ready` takes. */
async function start(
  command: string,
  args: readonly string[],
  ready: RegExp,
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  children.push(child);
  let log = '';
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        log += `${line}\n`;
        const found = ready.exec(line);
        if (found) resolve(found[0]);
      });
    }
    child.once('exit', (code) =>
      reject(new Error(`${command} ended with ${code} before it was ready:\n${log}`)),
    );
  });
}

const tsx = (file: string, ...args: string[]): [string, string[]] => [
  process.execPath,
  ['--import', 'tsx', fileURLToPath(new URL(file, import.meta.url)), ...args],
];

/** The model that the servers run, and the same model as PyTorch exports GroupNorm. */
async function makeModels(): Promise<{ readonly own: string; readonly peers: string }> {
  const own = options.model ?? join(folder, 'model.onnx');
  if (options.model === undefined) {
    const g = new GraphBuilder('norm-silu');
    const norm = g.scope('norm');
    const [channels] = shape as [number];
    const weight = norm.parameter('weight', { dtype: 'float32', shape: [channels], init: 'ones' });
    const bias = norm.parameter('bias', { dtype: 'float32', shape: [channels], init: 'zeros' });
    const x = g.input('x', 'float32', ['N', channels, 'H', 'W']);
    g.output('y', op.silu(norm, op.groupNormalization(norm, x, weight, bias, { numGroups: 32 })));
    const graph = g.build();
    await writeFile(own, encodeModel(graph, initializeWeights(graph)));
  }
  const peers = join(folder, 'peers.onnx');
  await writeFile(peers, convertModel(await readFile(own), { lowering: 'instance-norm', where: own }).bytes);
  return { own, peers };
}

const input = normalTensor([1, ...shape]);
const tensorBytes = Buffer.from(input.data.buffer, input.data.byteOffset, input.data.byteLength);

/** A request of the protocol with one binary tensor. */
function protocolRequest(name: string): Pick<Server, 'headers' | 'body'> {
  const header = JSON.stringify({
    inputs: [
      { name, shape: input.dims, datatype: 'FP32', parameters: { binary_data_size: tensorBytes.byteLength } },
    ],
    parameters: { binary_data_output: true },
  });
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(Buffer.byteLength(header)),
    },
    body: Buffer.concat([Buffer.from(header), tensorBytes]),
  };
}

async function ownServer(model: string, name: string, flags: readonly string[]): Promise<Server> {
  const [command, args] = tsx(
    '../lib/cli/main.ts',
    'serve',
    model,
    '--model-name',
    'model',
    '--port',
    '0',
    ...options.flags.split(' ').filter(Boolean),
    ...flags,
  );
  const address = await start(command, args, /http:\/\/[\d.]+:\d+/);
  await isReady(`${address}/v2/health/ready`);
  return { url: `${address}/v2/models/model/infer`, ...protocolRequest(name) };
}

async function fastifyServer(model: string): Promise<Server> {
  const peer = fileURLToPath(new URL('serve-fastify.mjs', import.meta.url));
  const address = await start(process.execPath, [peer, model, options.shape], /http:\/\/[\d.]+:\d+/);
  return {
    url: `${address}/infer`,
    headers: { 'content-type': 'application/octet-stream' },
    body: tensorBytes,
  };
}

async function tritonServer(
  venv: string,
  model: string,
  names: { input: string; output: string; dims: number },
): Promise<Server> {
  const lib = join(venv, 'lib');
  const packages = join(
    lib,
    readdirSync(lib).find((name) => name.startsWith('python'))!,
    'site-packages',
  );
  const triton = join(packages, 'pytriton', 'tritonserver');
  // The stub for the Python of the environment must lie beside the backend.
  const version = /python(\d\.\d+)/.exec(packages)![1]!;
  const stub = join(triton, 'backends', 'python', 'triton_python_backend_stub');
  if (!existsSync(stub))
    copyFileSync(join(triton, 'python_backend_stubs', version, 'triton_python_backend_stub'), stub);
  const repository = join(folder, 'models');
  mkdirSync(join(repository, 'model', '1'), { recursive: true });
  copyFileSync(model, join(repository, 'model', '1', 'model.onnx'));
  copyFileSync(
    fileURLToPath(new URL('triton_model.py', import.meta.url)),
    join(repository, 'model', '1', 'model.py'),
  );
  const dims = (count: number): string => new Array(count).fill(-1).join(', ');
  writeFileSync(
    join(repository, 'model', 'config.pbtxt'),
    `backend: "python"
max_batch_size: ${batch}
input [ { name: "${names.input}" data_type: TYPE_FP32 dims: [ ${dims(shape.length)} ] } ]
output [ { name: "${names.output}" data_type: TYPE_FP32 dims: [ ${dims(names.dims)} ] } ]
dynamic_batching { max_queue_delay_microseconds: ${Number(options.delay) * 1000} }
instance_group [ { count: 1 kind: KIND_CPU } ]
`,
  );
  const port = 18_000 + (process.pid % 1000);
  const flags = [
    `--model-repository=${repository}`,
    `--backend-directory=${join(triton, 'backends')}`,
    `--http-port=${port}`,
    '--http-address=127.0.0.1',
    '--allow-grpc=false',
    '--allow-metrics=false',
  ];
  await start(join(triton, 'bin', 'tritonserver'), flags, /Started HTTPService/, {
    LD_LIBRARY_PATH: join(packages, 'nvidia_pytriton.libs'),
    BENCH_SITE_PACKAGES: packages,
  });
  return { url: `http://127.0.0.1:${port}/v2/models/model/infer`, ...protocolRequest(names.input) };
}

async function inspectOwn(model: string): Promise<Pick<Session, 'inputs' | 'outputs'>> {
  await using session = await createSession(model);
  const { inputs, outputs } = session;
  return { inputs, outputs };
}

async function isReady(url: string): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await setTimeout(100);
  }
  throw new Error(`${url} was not ready within a minute`);
}

/** Each server gives the same answer, within rounding: what is timed is the same work. */
async function checkAnswers(servers: Readonly<Record<string, Server>>): Promise<void> {
  let expected: Float32Array | undefined;
  for (const [name, { url, headers, body }] of Object.entries(servers)) {
    const answer = await fetch(url, { method: 'POST', headers: { ...headers }, body: new Uint8Array(body) });
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
    const bytes = await answer.arrayBuffer();
    const skip = Number(answer.headers.get('inference-header-content-length') ?? 0);
    const actual = new Float32Array(bytes.slice(skip));
    expected ??= actual;
    const worst = actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected![i]!)), 0);
    if (actual.length !== expected.length || !(worst < 1e-2))
      throw new Error(`${name}: another answer, by ${worst}`);
  }
}

async function load(
  server: Server,
  file: string,
  connections: number,
  seconds: number,
): Promise<LoadFigures> {
  const { url, headers } = server;
  const request: Load = { url, headers, body: file, connections, seconds };
  const [command, args] = tsx('serve-load.ts', JSON.stringify(request));
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  await once(child, 'close');
  return JSON.parse(text) as LoadFigures;
}

try {
  const { own, peers } = await makeModels();
  const { inputs, outputs } = await inspectOwn(own);
  const [first, result] = [inputs[0]!, outputs[0]!];
  const batching = ['--max-batch-size', String(batch), '--max-queue-delay', options.delay];
  const servers: Record<string, Server> = {
    'fastify + onnxruntime-node': await fastifyServer(peers),
    'onnx-groupnorm serve': await ownServer(own, first.name, batch > 1 ? batching : []),
    ...(batch > 1 && { 'onnx-groupnorm serve, not batched': await ownServer(own, first.name, []) }),
  };
  if (options.triton === undefined)
    console.log('Triton did not run: --triton names a virtual environment with nvidia-pytriton');
  else {
    const dims = (result.shape ?? input.dims).length - 1;
    servers['Triton, Python backend'] = await tritonServer(options.triton, peers, {
      input: first.name,
      output: result.name,
      dims,
    });
  }
  await checkAnswers(servers);
  const names = Object.keys(servers);
  const bodies = Object.fromEntries(
    names.map((name, i) => {
      const file = join(folder, `body-${i}`);
      writeFileSync(file, servers[name]!.body);
      return [name, file];
    }),
  );
  console.log(
    `${machine()}, ${options.model ?? 'GroupNorm + SiLU'}, 1×${shape.join('×')}, batches of up to ${batch}\n`,
  );
  const all: ServeRow[] = [];
  for (const connections of options.connections.split(',').map(Number)) {
    const figures: Record<string, LoadFigures[]> = Object.fromEntries(names.map((name) => [name, []]));
    for (const name of names) await load(servers[name]!, bodies[name]!, connections, 1);
    for (let round = 0; round < Number(options.rounds); round++)
      for (const name of round % 2 === 0 ? names : [...names].reverse())
        figures[name]!.push(await load(servers[name]!, bodies[name]!, connections, Number(options.seconds)));
    const of = (name: string, field: keyof LoadFigures): number[] => figures[name]!.map((one) => one[field]);
    const ratio = (name: string, baseline: string): string =>
      formatRatio(quartiles(of(name, 'perSecond').map((value, i) => value / of(baseline, 'perSecond')[i]!)));
    const rows = names.map((name) => [
      String(connections),
      name,
      quantile(of(name, 'perSecond'), 0.5).toFixed(1),
      quantile(of(name, 'p50'), 0.5).toFixed(0),
      quantile(of(name, 'p99'), 0.5).toFixed(0),
      ratio('onnx-groupnorm serve', name),
      String(of(name, 'failed').reduce((a, b) => a + b)),
    ]);
    console.log(
      `${table(['connections', 'server', 'requests/s', 'p50, ms', 'p99, ms', 'serve is faster by', 'failed'], rows)}\n`,
    );
    const median = (name: string, field: keyof LoadFigures) => quartiles(of(name, field));
    all.push(
      ...names.map((server) => ({
        model: options.model === undefined ? 'GroupNorm and SiLU' : basename(options.model),
        shape: `1×${shape.join('×')}`,
        connections,
        server,
        perSecond: median(server, 'perSecond'),
        p50: median(server, 'p50'),
        p99: median(server, 'p99'),
        failed: of(server, 'failed').reduce((a, b) => a + b),
      })),
    );
  }
  if (options.json !== undefined)
    writeReport(
      options.json,
      reportOf('npm run bench:serve', all),
      (row) => `${row.model} ${row.connections}`,
    );
} finally {
  // Triton ends its Python processes if it is asked to end.
  for (const child of children) child.kill('SIGINT');
  const ended = Promise.all(children.map(async (child) => child.exitCode ?? (await once(child, 'exit'))));
  await Promise.race([ended, setTimeout(10_000)]);
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
