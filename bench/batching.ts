/**
 * Batching on against off: many callers of one model, each of which asks again as soon as it has its answer.
 *
 *   npm run bench:batching -- [--rounds N] [--seconds S] [--json FILE]
 *
 * S is the length of a turn.
 */
import { parseArgs } from 'node:util';
import { doubleConv } from '../graphs/double-conv.js';
import { getGraph } from '../graphs/registry.js';
import { GraphBuilder } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import type { Graph } from '../lib/graph/types.js';
import { createSession, encodeModel, initializeWeights } from '../lib/index.js';
import { type Batcher, type BatcherOptions, createBatcher } from '../lib/server/index.js';
import { reportOf, writeReport } from './report.js';
import { NUM_GROUPS } from './runners.js';
import {
  formatRatio,
  machine,
  normalTensor,
  quantile,
  quartiles,
  type Quartiles,
  table,
} from './statistics.js';

/** A model with batches and without. */
export interface BatchingRow {
  readonly model: string;
  /** Requests a second, the median of the rounds. */
  readonly perSecond: { readonly off: number; readonly on: number };
  /** How many times the requests are answered with batches. */
  readonly ratio: Quartiles;
  /** Milliseconds of a request, the 99th percentile. */
  readonly p99: { readonly off: number; readonly on: number };
}

const CALLERS = 64;

/** A linear layer with ReLU. */
function layer(g: GraphBuilder, name: string, x: ReturnType<typeof op.relu>, outputs: number) {
  const weight = g.parameter(`${name}.weight`, { dtype: 'float32', shape: [x.shape[1] as number, outputs] });
  return op.relu(
    g,
    op.gemm(g, x, weight, g.parameter(`${name}.bias`, { dtype: 'float32', shape: [outputs] })),
  );
}

function perceptron(): Graph {
  const g = new GraphBuilder('perceptron');
  const x = g.input('x', 'float32', ['N', 128]);
  g.output('y', layer(g, 'c', layer(g, 'b', layer(g, 'a', x, 128), 128), 10));
  return g.build();
}

/** Two convolutions with GroupNorm, and a linear layer of their means. */
function classifier(size: number): Graph {
  const g = new GraphBuilder('classifier');
  const hidden = doubleConv(g, g.input('x', 'float32', ['N', 3, size, size]), { outChannels: 16 });
  g.output('y', layer(g, 'fc', op.flatten(g, op.globalAveragePool(g, hidden)), 10));
  return g.build();
}

const norm = (channels: number, size: number): Graph =>
  getGraph('group-norm').build(
    { numGroups: NUM_GROUPS, numChannels: channels },
    { shape: ['N', channels, size, size] },
  );

const MODELS = {
  'three linear layers, 1×128': { graph: perceptron(), shape: [1, 128] },
  'classifier with GroupNorm, 1×3×16×16': { graph: classifier(16), shape: [1, 3, 16, 16] },
  'classifier with GroupNorm, 1×3×64×64': { graph: classifier(64), shape: [1, 3, 64, 64] },
  'one GroupNorm, 1×64×64×64': { graph: norm(64, 64), shape: [1, 64, 64, 64] },
};

const OFF: BatcherOptions = {};
const ON: BatcherOptions = { maxBatchSize: 32 };

interface Turn {
  /** Requests a second. */
  readonly rate: number;
  /** Milliseconds of each request. */
  readonly times: readonly number[];
}

async function turn(batcher: Batcher, shape: readonly number[], seconds: number): Promise<Turn> {
  const x = normalTensor(shape);
  const times: number[] = [];
  const begin = performance.now();
  const caller = async () => {
    while (performance.now() - begin < seconds * 1000) {
      const start = performance.now();
      const { outputs } = await batcher.run({ x });
      times.push(performance.now() - start);
      outputs.dispose();
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return { rate: (1000 * times.length) / (performance.now() - begin), times };
}

async function compare(name: keyof typeof MODELS, rounds: number, seconds: number): Promise<BatchingRow> {
  const { graph, shape } = MODELS[name];
  await using session = await createSession(encodeModel(graph, initializeWeights(graph)));
  await using off = createBatcher(session, OFF);
  await using on = createBatcher(session, ON);
  const turns: { off: Turn; on: Turn }[] = [];
  for (let round = -1; round < rounds; round++) {
    const both = { off: await turn(off, shape, seconds), on: await turn(on, shape, seconds) };
    if (round >= 0) turns.push(both);
  }
  const both = <T>(of: (kind: 'off' | 'on') => T) => ({ off: of('off'), on: of('on') });
  const times = (kind: 'off' | 'on') => turns.flatMap((one) => one[kind].times);
  return {
    model: name,
    perSecond: both((kind) => quartiles(turns.map((one) => one[kind].rate)).median),
    ratio: quartiles(turns.map((one) => one.on.rate / one.off.rate)),
    p99: both((kind) => quantile(times(kind), 0.99)),
  };
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
console.log(`${machine()}, ${CALLERS} callers, batches of up to ${ON.maxBatchSize} samples\n`);
const rows: BatchingRow[] = [];
for (const name of Object.keys(MODELS) as (keyof typeof MODELS)[])
  rows.push(await compare(name, Number(values.rounds), Number(values.seconds)));
console.log(
  table(
    ['model', 'off, requests/s', 'on, requests/s', 'on against off', 'off, p99, ms', 'on, p99, ms'],
    rows.map(({ model, perSecond, ratio, p99 }) => [
      model,
      ...[perSecond.off, perSecond.on].map((rate) => rate.toFixed(0)),
      formatRatio(ratio),
      ...[p99.off, p99.on].map((ms) => ms.toFixed(1)),
    ]),
  ),
);
if (values.json !== undefined)
  writeReport(values.json, reportOf('npm run bench:batching', rows), ({ model }) => model);
