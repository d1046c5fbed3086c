/**
 * Measures what the server costs a request besides the run: one connection, GroupNorm of 1×64×64×64, 1 MB in and 1 MB out as
 * binary tensors; against a bare server of node:http that answers with the body, and against session.run in this process.
 *
 *   npm run bench:overhead -- [--rounds N] [--seconds S] [--json FILE]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createSession } from '../lib/index.js';
import { reportOf, writeReport } from './report.js';
import { groupNormModel, NATIVE } from './runners.js';
import type { Load, LoadFigures } from './serve-load.js';
import { machine, normalTensor, quantile, quartiles, table, type Quartiles } from './statistics.js';

/** Milliseconds of a request, the median of each round. */
export interface OverheadRow {
  readonly server: string;
  readonly p50: Quartiles;
}

const SHAPE = [1, 64, 64, 64];
const BARE = fileURLToPath(new URL('bare-server.mjs', import.meta.url));

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const folder = mkdtempSync(join(tmpdir(), 'bench-overhead-'));
const children: ChildProcess[] = [];
try {
  const [model, bodyFile] = [join(folder, 'model.onnx'), join(folder, 'body')];
  writeFileSync(model, groupNormModel(SHAPE));
  const x = normalTensor(SHAPE);
  const tensorBytes = Buffer.from(x.data.buffer, x.data.byteOffset, x.data.byteLength);
  const header = JSON.stringify({
    inputs: [
      { name: 'x', shape: SHAPE, datatype: 'FP32', parameters: { binary_data_size: tensorBytes.length } },
    ],
    parameters: { binary_data_output: true },
  });
  writeFileSync(bodyFile, Buffer.concat([Buffer.from(header), tensorBytes]));
  const cli = fileURLToPath(new URL('../lib/cli/main.ts', import.meta.url));
  const own = await start('--import', 'tsx', cli, 'serve', model, '--model-name', 'model', '--port', '0');
  const bare = await start(BARE);
  const request = { body: bodyFile, connections: 1, seconds: Number(values.seconds) };
  const headers = { 'inference-header-content-length': String(Buffer.byteLength(header)) };
  await using session = await createSession(model, NATIVE);
  const all: Record<string, () => Promise<number>> = {
    'onnx-groupnorm serve': () => load({ ...request, url: `${own}/v2/models/model/infer`, headers }),
    'bare node:http, the body as its answer': () => load({ ...request, url: `${bare}/`, headers: {} }),
    'session.run, no server': async () => {
      const times: number[] = [];
      for (const begin = performance.now(); performance.now() - begin < 1000 * request.seconds;) {
        const before = performance.now();
        using outputs = await session.run({ x });
        times.push(performance.now() - before);
        void outputs;
      }
      return quantile(times, 0.5);
    },
  };
  const times = Object.fromEntries(Object.keys(all).map((name) => [name, [] as number[]]));
  for (let round = -1; round < Number(values.rounds); round++)
    for (const [name, turn] of Object.entries(all)) {
      const time = await turn();
      if (round >= 0) times[name]!.push(time);
    }
  const rows: OverheadRow[] = Object.entries(times).map(([server, own]) => ({ server, p50: quartiles(own) }));
  console.log(`${machine()}, 1 MB in, 1 MB out, one connection\n`);
  const cells = rows.map(({ server, p50 }) => [
    server,
    `${p50.median.toFixed(2)} (${p50.low.toFixed(2)} to ${p50.high.toFixed(2)})`,
  ]);
  console.log(table(['server', 'median of a request, ms (quartiles of rounds)'], cells));
  if (values.json !== undefined)
    writeReport(values.json, reportOf('npm run bench:overhead', rows), ({ server }) => server);
} finally {
  for (const child of children) child.kill('SIGINT');
  rmSync(folder, { recursive: true });
}

/** Starts a server. @returns Its address, which it prints. */
async function start(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  for await (const line of createInterface(child.stdout)) {
    const address = /http:\/\/[\d.]+:\d+/.exec(line)?.[0];
    if (address !== undefined && (await isReady(address))) return address;
  }
  throw new Error(`the server ended before it was ready: ${args.join(' ')}`);
}

async function isReady(address: string): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(`${address}/v2/health/ready`);
    await answer.arrayBuffer();
    if (answer.ok) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

async function load(request: Load): Promise<number> {
  const program = fileURLToPath(new URL('serve-load.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  await once(child, 'close');
  const { p50, failed } = JSON.parse(text) as LoadFigures;
  if (failed > 0) throw new Error(`${failed} requests failed`);
  return p50;
}
