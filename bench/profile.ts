/**
 * Prints the share of each operator in the time of a network, measured by ONNX Runtime's profiler, with the native
 * kernel and with onnxruntime-node.
 *
 *   npm run bench:profile -- [graph] [runs]
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getGraph } from '../graphs/registry.js';
import { createSession, encodeModel, initializeWeights, type SessionOptions } from '../lib/index.js';
import { machine, normalTensor, table } from './statistics.js';

/** An event of ONNX Runtime's profile, a Chrome trace. Durations are in microseconds. */
interface Event {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

const RUNNERS: Readonly<Record<string, SessionOptions>> = {
  native: { providers: ['native'] },
  'native, extended optimisations': { providers: ['native'], graphOptimizationLevel: 'extended' },
  'onnxruntime-node, reduce-mean': { providers: ['cpu'], groupNorm: 'reduce-mean' },
};

async function main(): Promise<void> {
  const [name = 'unet', runs = '5'] = process.argv.slice(2);
  const graph = getGraph(name).build({});
  const model = encodeModel(graph, initializeWeights(graph), { opset: 21, lowering: 'op' });
  console.log(`${machine()}: ${name}, 1×3×256×256, milliseconds a run\n`);
  for (const [runner, options] of Object.entries(RUNNERS)) {
    print(runner, await profile(model, options, Number(runs)), Number(runs));
  }
}

/** Returns the milliseconds of each operator over all runs but the first. */
async function profile(
  model: Uint8Array,
  options: SessionOptions,
  runs: number,
): Promise<Map<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'profile-'));
  try {
    const session = await createSession(model, { ...options, profileFilePrefix: join(folder, 'run') });
    const x = normalTensor([1, 3, 256, 256]);
    for (let run = 0; run <= runs; run++) await session.run({ x });
    await session.dispose();
    const [file] = readdirSync(folder);
    const events = JSON.parse(readFileSync(join(folder, file!), 'utf8')) as Event[];
    return sumByOperator(events);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sumByOperator(events: readonly Event[]): Map<string, number> {
  const starts = events.flatMap(({ name }, index) => (name === 'model_run' ? [index] : []));
  const sums = new Map<string, number>();
  // A run's own event comes after those of its nodes.
  for (const { cat, name, dur, args } of events.slice(starts[0]! + 1)) {
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || !args?.op_name) continue;
    sums.set(args.op_name, (sums.get(args.op_name) ?? 0) + dur / 1000);
  }
  return sums;
}

function print(runner: string, sums: Map<string, number>, runs: number): void {
  const total = [...sums.values()].reduce((a, b) => a + b, 0);
  const sorted = [...sums].sort(([, a], [, b]) => b - a).slice(0, 10);
  const rows = sorted.map(([name, sum]) => [
    name,
    (sum / runs).toFixed(2),
    `${((100 * sum) / total).toFixed(1)} %`,
  ]);
  rows.push(['all', (total / runs).toFixed(2), '']);
  console.log(`${table([runner, 'ms', 'share'], rows)}\n`);
}

await main();
