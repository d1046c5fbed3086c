/**
 * Prints, as JSON, how often V8 collected in runs of the native provider: a program by itself, as what else a heap
 * holds decides it too.
 *
 *   node --import tsx test/support/count-collections.ts HELD
 *
 * HELD: how many results are held at a time.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { GraphBuilder, op } from '../../lib/graph/index.js';
import { encodeModel } from '../../lib/onnx/index.js';
import { createSession } from '../../lib/runtime/index.js';
import { randomTensor } from './group-norm.js';

/** 512 results of 2 MiB. */
const RUNS = 512;
const SHAPE = [2 ** 19];

export interface Collections {
  /** Of the young generation. */
  readonly young: number;
  /** Of everything. */
  readonly all: number;
  /** What others find V8's collector to be after that. */
  readonly typeOfCollector: unknown;
}

const counts = new Map<number, number>();
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { kind } = (entry as unknown as { detail: { kind: number } }).detail;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
});

const held = Number(process.argv[2]);
const g = new GraphBuilder('relu');
g.output('y', op.relu(g, g.input('x', 'float32', SHAPE)));
const session = await createSession(encodeModel(g.build(), new Map()), { providers: ['native'] });
const x = randomTensor('float32', SHAPE);
const ring: unknown[] = [];

async function run(i: number): Promise<void> {
  const { y } = await session.run({ x });
  if (held > 0) ring[i % held] = y;
}

observer.observe({ entryTypes: ['gc'] });
for (let i = 0; i < RUNS; i++) await run(i);
// Entries come with a later turn of the event loop.
await sleep(20);
await session.dispose();
const result: Collections = {
  young: counts.get(constants.NODE_PERFORMANCE_GC_MINOR) ?? 0,
  all: counts.get(constants.NODE_PERFORMANCE_GC_MAJOR) ?? 0,
  typeOfCollector: runInNewContext('typeof gc'),
};
console.log(JSON.stringify(result));
