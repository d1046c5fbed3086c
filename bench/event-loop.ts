/**
 * Measures how late the event loop is while the U-Net runs, which is how long every other request of a server waits.
 *
 *   npm run bench:event-loop -- [--runs N] [--json FILE]
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { getGraph } from '../graphs/registry.js';
import { createSession, encodeModel, initializeWeights, type SessionOptions } from '../lib/index.js';
import { reportOf, writeReport } from './report.js';
import { NATIVE, ortNode } from './runners.js';
import { machine, normalTensor, table } from './statistics.js';

/** The delays of the event loop in the runs of one runner, in milliseconds. */
export interface EventLoopRow {
  readonly runner: string;
  readonly run: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

const RUNNERS: Readonly<Record<string, SessionOptions>> = {
  'onnxruntime-node': ortNode('reduce-mean'),
  'onnx-groupnorm': NATIVE,
};
const SHAPE = [1, 3, 256, 256];

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '10' }, json: { type: 'string' } },
});
const graph = getGraph('unet').build({}, { shape: SHAPE });
const model = encodeModel(graph, initializeWeights(graph), { opset: 21 });
const rows: EventLoopRow[] = [];
for (const [runner, options] of Object.entries(RUNNERS))
  rows.push(await measure(runner, options, Number(values.runs)));

console.log(`${machine()}, U-Net, ${SHAPE.join('×')}\n`);
const cells = rows.map(({ runner, run, p50, p99, longest }) => [
  runner,
  ...[run, p50, p99, longest].map((ms) => ms.toFixed(1)),
]);
console.log(
  table(['runner', 'ms of a run', 'delay of the event loop, median', '99th percentile', 'longest'], cells),
);
if (values.json !== undefined)
  writeReport(values.json, reportOf('npm run bench:event-loop', rows), ({ runner }) => runner);

async function measure(runner: string, options: SessionOptions, runs: number): Promise<EventLoopRow> {
  await using session = await createSession(model, options);
  const x = normalTensor(SHAPE);
  await session.run({ x });
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  const start = performance.now();
  for (let i = 0; i < runs; i++) {
    await session.run({ x });
    // The delay is known when the loop turns again.
    await sleep(1);
  }
  const run = (performance.now() - start) / runs - 1;
  histogram.disable();
  const at = (percentile: number) => histogram.percentile(percentile) / 1e6;
  return { runner, run, p50: at(50), p99: at(99), longest: histogram.max / 1e6 };
}
