/** Batches of real models: a sample has bitwise the same results in a batch as alone, whatever its neighbours are. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../../graphs/registry.js';
import { attr, GraphBuilder, op } from '../../../lib/index.js';
import type { Graph } from '../../../lib/graph/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import type { Provider, Session } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type Batch, createBatcher } from '../../../lib/server/batching/batcher.js';
import { tensor, tensorBytes, type TensorData } from '../../../lib/tensor.js';
import { initializeWeights } from '../../../lib/weights/initialize.js';
import { randomTensor } from '../../support/group-norm.js';
import { NATIVE_REASON } from '../../support/native.js';
import { castNode, declared, node, smallModel } from '../../support/small-model.js';

/** A classifier's end: Gemm with its weights as PyTorch's Linear has them, and attention between 4 tokens of each sample. */
function denseGraph(): Graph {
  const g = new GraphBuilder('dense');
  const x = g.input('x', 'float32', ['N', 4, 96]);
  const attention = op.softmax(g, op.matMul(g, x, op.transpose(g, x, { perm: [0, 2, 1] })));
  const mixed = op.flatten(g, op.matMul(g, attention, x));
  const weight = g.parameter('weight', { dtype: 'float32', shape: [10, 384] });
  const bias = g.parameter('bias', { dtype: 'float32', shape: [10] });
  const type = { dtype: 'float32', shape: ['N', 10] } as const;
  g.output('y', g.node('Gemm', [mixed, weight, bias], { transB: attr.int(1) }, [type])[0]!);
  return g.build();
}

/** The networks, and the size of a sample. */
const NETWORKS: readonly (readonly [graph: Graph, sample: readonly number[]])[] = [
  [getGraph('group-norm').build({ numGroups: 4, numChannels: 12 }), [12, 7, 9]],
  [getGraph('double-conv').build({ inChannels: 3, outChannels: 16 }), [3, 13, 11]],
  [getGraph('resnet-block').build({ inChannels: 8, outChannels: 32, stride: 2 }), [8, 10, 14]],
  [getGraph('unet').build({ width: 8 }), [3, 16, 16]],
  [getGraph('detection-backbone').build({ width: 8, numGroups: 8, fpnChannels: 8 }), [3, 32, 32]],
  [denseGraph(), [4, 96]],
];

const bytesOf = (outputs: Record<string, TensorData>) =>
  Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, Buffer.from(tensorBytes(value))]));

/** Runs requests as one batch. */
async function runTogether(session: Session, feeds: readonly { x: TensorData }[]) {
  const batches: Batch[] = [];
  const samples = feeds.reduce((sum, { x }) => sum + x.dims[0]!, 0);
  const onBatch = (batch: Batch) => batches.push(batch);
  const batcher = createBatcher(session, { maxBatchSize: samples, maxQueueDelay: 1000, onBatch });
  const results = await Promise.all(feeds.map((one) => batcher.run(one)));
  const { notJoined } = batcher;
  await batcher.dispose();
  return { outputs: results.map(({ outputs }) => outputs), batches, notJoined };
}

describe('a batch of requests to a network', () => {
  for (const provider of ['native', 'wasm'] as const satisfies Provider[]) {
    const isMissing = provider === 'native' && NATIVE_REASON !== undefined;
    const check = isMissing ? it.skip : it;
    for (const [graph, sample] of NETWORKS) {
      const title = `'${graph.name}' gives each request of a batch bitwise its results alone on ${provider}`;
      check(isMissing ? `${title} (not run: ${NATIVE_REASON})` : title, async () => {
        await using session = await createSession(encodeModel(graph, initializeWeights(graph)), {
          providers: [provider],
        });
        const feeds = [1, 2, 1, 1].map((count, i) => ({
          x: randomTensor('float32', [count, ...sample], { seed: i, mean: i }),
        }));
        // A request of NaN and one of infinities are the neighbours of the others.
        feeds[2]!.x.data.fill(NaN);
        feeds[3]!.x.data.fill(Infinity);
        const { outputs, batches } = await runTogether(session, feeds);
        expect(batches).to.have.length(1);
        expect(batches[0]).to.include({ samples: 5, requests: 4 });
        for (const [i, one] of feeds.entries()) {
          expect(bytesOf(outputs[i]!)).to.deep.equal(bytesOf(await session.run(one)));
        }
        expect(outputs[2]!.y?.data[0] ?? NaN).to.be.NaN;
        expect(Object.values(outputs[1]!)[0]!.data[0]).to.satisfy(Number.isFinite);
      });
    }
  }

  it('requests are not joined any more if the samples of a batch influence each other, and get their results alone', async () => {
    const graph = getGraph('norm-comparison').build();
    await using session = await createSession(encodeModel(graph, new Map()));
    const feeds = [0, 5].map((mean) => ({ x: randomTensor('float32', [1, 8, 6, 6], { mean }) }));
    const { outputs, notJoined } = await runTogether(session, feeds);
    expect(notJoined).to.contain('influence each other');
    for (const [i, one] of feeds.entries()) {
      expect(bytesOf(outputs[i]!)).to.deep.equal(bytesOf(await session.run(one)));
    }
  });

  it('requests are not joined any more if an output does not have a row for each sample', async () => {
    const model = smallModel([node('Concat', 'x x', 'y', { name: 'axis', type: 2, i: 0 })], {
      output: [declared('y', 'float32', ['M', 4])],
    });
    await using session = await createSession(model);
    const feeds = [1, 2].map((value) => ({ x: tensor('float32', [1, 4], new Float32Array(4).fill(value)) }));
    const { outputs, notJoined } = await runTogether(session, feeds);
    expect(notJoined).to.contain("first dimension of the model's outputs");
    expect(outputs.map(({ y }) => y!.dims)).to.deep.equal([
      [2, 4],
      [2, 4],
    ]);
    expect([...outputs[1]!.y!.data]).to.deep.equal(new Array(8).fill(2));
  });

  it('texts and float16 are joined and taken apart as well', async () => {
    const half = smallModel([node('Neg', 'x', 'y')], {
      input: [declared('x', 'float16', ['N', 2])],
      output: [declared('y', 'float16', ['N', 2])],
    });
    await using session = await createSession(half);
    const feeds = [0x3c00, 0x4000].map((bits) => ({ x: tensor('float16', [1, 2], Uint16Array.of(bits, 0)) }));
    const { outputs } = await runTogether(session, feeds);
    expect(outputs.map(({ y }) => [...y!.data])).to.deep.equal([
      [0xbc00, 0x8000],
      [0xc000, 0x8000],
    ]);
    const texts = smallModel([castNode('x', 'y', 8)], { output: [declared('y', 8, ['N', 4])] });
    await using other = await createSession(texts, { providers: ['wasm'] });
    const numbers = [1, 2].map((value) => ({
      x: tensor('float32', [1, 4], new Float32Array(4).fill(value)),
    }));
    const answers = (await runTogether(other, numbers)).outputs;
    expect(answers.map(({ y }) => [...(y!.data as unknown as string[])])).to.deep.equal([
      ['1', '1', '1', '1'],
      ['2', '2', '2', '2'],
    ]);
  });

  it('64 requests of differing sizes and shapes at once get their own answers', async () => {
    const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
    await using session = await createSession(encodeModel(graph, initializeWeights(graph)));
    const batches: Batch[] = [];
    await using batcher = createBatcher(session, {
      maxBatchSize: 16,
      instances: 2,
      onBatch: (batch) => batches.push(batch),
    });
    const feeds = Array.from({ length: 64 }, (_, i) => ({
      x: randomTensor('float32', [1 + (i % 5), 4, 3, 3 + (i % 20 === 19 ? 1 : 0)], { seed: i }),
    }));
    const results = await Promise.all(feeds.map((one) => batcher.run(one)));
    for (const [i, one] of feeds.entries()) {
      expect(bytesOf(results[i]!.outputs)).to.deep.equal(bytesOf(await session.run(one)));
    }
    const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
    expect(sum(batches.map(({ requests }) => requests))).to.equal(64);
    expect(batches.length).to.be.below(40);
    expect(Math.max(...batches.map(({ samples }) => samples))).to.be.within(8, 16);
  });

  it('the event loop turns while a long model runs, and the probe of a server is not late', async () => {
    const g = new GraphBuilder('long');
    let y = g.input('x', 'float32', ['N', 1, 256, 256]);
    for (let step = 0; step < 40; step++) y = op.tanh(g, op.matMul(g, y, y));
    g.output('y', y);
    await using session = await createSession(encodeModel(g.build(), new Map()));
    if (session.provider !== 'native') return;
    await using batcher = createBatcher(session, { maxBatchSize: 8 });
    const feeds = { x: randomTensor('float32', [1, 1, 256, 256]) };
    const begin = performance.now();
    const runs = Promise.all(Array.from({ length: 17 }, () => batcher.run(feeds)));
    let turns = 0;
    let isOver = false;
    void runs.then(() => (isOver = true));
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      turns += 1;
    }
    // Other processes may hold this one for a while, so the bound is loose: without turns there would be one for each run.
    expect(turns).to.be.above((performance.now() - begin) / 50);
    expect(turns).to.be.above(10);
  });
});
