/**
 * Prints, as JSON, how often V8 collected in runs of the native provider: a program by itself, as what else a heap
 * holds decides it too.
 *
 *   node --import tsx test/support/count-collections.ts HELD
 *
 * HELD: how many results are held at a time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { type CollectionCounts, countCollections } from '../../bench/collections.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { createSession } from '../../lib/runtime/node.js';
import { randomTensor } from './group-norm.js';

/** 512 results of 2 MiB. */
const RUNS = 512;
const SHAPE = [2 ** 19];

export interface Collections extends CollectionCounts {
  /** What others find V8's collector to be after that. */
  readonly typeOfCollector: unknown;
}

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

const counts = countCollections();
for (let i = 0; i < RUNS; i++) await run(i);
// Entries come with a later turn of the event loop.
await sleep(20);
await session.dispose();
const result: Collections = { ...counts, typeOfCollector: runInNewContext('typeof gc') };
console.log(JSON.stringify(result));
