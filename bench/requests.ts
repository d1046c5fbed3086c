/**
 * What a server's requests see of GroupNorm, the garbage collector included: each request makes objects of its own,
 * which live for 200 requests, runs the model, reads of the result, and lets go of it or holds it for a while.
 *
 *   npm run bench:requests -- [requests]
 */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createSession, type SessionOptions } from '../lib/index.js';
import { countCollections } from './collections.js';
import { groupNormModel, megabytes, NATIVE, ortNode } from './runners.js';
import { machine, normalTensor, quantile, table } from './statistics.js';

const SHAPES = [
  [1, 320, 64, 64],
  [8, 256, 32, 32],
  [1, 256, 128, 128],
  [1, 128, 256, 256],
];

interface Runner {
  readonly options: SessionOptions;
  /** The last results that the program holds; 0 where a request lets go of its own. */
  readonly held: number;
  /** Whether a request disposes of its results. Default false. */
  readonly disposes?: boolean;
}

const RUNNERS: Readonly<Record<string, Runner>> = {
  'onnxruntime-node, inlined operator': { options: ortNode('op'), held: 0 },
  'onnxruntime-node, reduce-mean': { options: ortNode('reduce-mean'), held: 0 },
  native: { options: NATIVE, held: 0 },
  'native, using': { options: NATIVE, held: 0, disposes: true },
  'onnxruntime-node, reduce-mean, 8 results held': { options: ortNode('reduce-mean'), held: 8 },
  'native, 8 results held': { options: NATIVE, held: 8 },
};

/** Objects that a request makes, and requests that they live for. */
const OBJECTS = 2000;
const LIFETIME = 200;
/** Between two requests, in which the event loop turns. */
const PAUSE_MS = 1;

/** Set in the process of one runner. */
const CHILD = 'BENCH_REQUESTS_TASK';

interface Task {
  readonly requests: number;
  readonly runner: string;
  readonly shape: number[];
}

interface Figures {
  /** Milliseconds. */
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  /** Collections of the whole heap. */
  readonly collections: number;
}

/** Each in a process of its own: what one leaves is not the next one's garbage. */
function main(requests: number): void {
  console.log(`${machine()}, ${requests} requests\n`);
  const cells = SHAPES.flatMap((shape) =>
    Object.keys(RUNNERS).map((runner) => {
      const env = { ...process.env, [CHILD]: JSON.stringify({ requests, runner, shape }) };
      const args = [...process.execArgv, fileURLToPath(import.meta.url)];
      const output = execFileSync(process.execPath, args, { encoding: 'utf8', env });
      const { mean, p50, p99, collections } = JSON.parse(output) as Figures;
      const times = [mean, p50, p99].map((ms) => ms.toFixed(2));
      return [`${shape.join('×')}, ${megabytes(shape)}`, runner, ...times, String(collections)];
    }),
  );
  console.log(table(['shape', 'runner', 'mean, ms', 'median', '99th percentile', 'full collections'], cells));
}

async function measure({ requests, runner, shape }: Task): Promise<Figures> {
  const { options, held, disposes } = RUNNERS[runner]!;
  await using session = await createSession(groupNormModel(shape), options);
  const x = normalTensor(shape);
  const results: unknown[] = [];
  async function request(i: number): Promise<number> {
    const start = performance.now();
    const out = await session.run({ x });
    if (Number.isNaN(out.y!.data[0])) throw new Error('a result must be numbers');
    if (held > 0) results[i % held] = out.y;
    if (disposes) out.dispose();
    return performance.now() - start;
  }
  for (const start = performance.now(); performance.now() - start < 500;) await request(0);
  const collections = countCollections();
  const times: number[] = [];
  const alive: object[] = [];
  for (let i = 0; i < requests; i++) {
    alive[i % LIFETIME] = Array.from({ length: OBJECTS }, (_, id) => ({ id, pair: [id] }));
    times.push(await request(i));
    await sleep(PAUSE_MS);
  }
  const mean = times.reduce((a, b) => a + b) / requests;
  return { mean, p50: quantile(times, 0.5), p99: quantile(times, 0.99), collections: collections.all };
}

const task = process.env[CHILD];
if (task !== undefined) {
  console.log(JSON.stringify(await measure(JSON.parse(task) as Task)));
} else {
  const requests = Number(process.argv[2] ?? 1000);
  if (!Number.isInteger(requests) || requests < 1) {
    console.error('bench:requests takes a number of requests, at least 1; 1000 by default');
    process.exit(2);
  }
  main(requests);
}
