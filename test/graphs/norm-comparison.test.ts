import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { toFloat64Array } from '../../lib/half.js';
import { tensor, type TensorData } from '../../lib/tensor.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../support/group-norm.js';
import { refusal, runGraph } from './support.js';

const BATCH = 4;
const SAMPLE = [1, 8, 6, 5];

/** A batch whose samples differ in brightness and contrast, as images do. */
function images(): TensorData {
  const samples = Array.from({ length: BATCH }, (_, index) =>
    toFloat64Array(
      randomTensor('float32', SAMPLE, { stream: `image ${index}`, mean: index, deviation: 1 + index }),
    ),
  );
  return tensor(
    'float32',
    [BATCH, ...SAMPLE.slice(1)],
    Float32Array.from(samples.flatMap((data) => [...data])),
  );
}

const sampleOf = (batch: TensorData, index: number): TensorData => {
  const length = batch.data.length / BATCH;
  const values = toFloat64Array(batch).subarray(index * length, (index + 1) * length);
  return tensor('float32', SAMPLE, Float32Array.from(values));
};

describe('norm-comparison', () => {
  const graph = getGraph('norm-comparison').build({});
  const x = images();
  let inBatch: Record<string, TensorData>;

  before(async () => {
    inBatch = await runGraph(graph, x);
  });

  it('norm-comparison has one output for each normalization, and no parameters', () => {
    expect(graph.inputs.map(({ name, shape }) => [name, shape])).to.deep.equal([['x', ['N', 8, 'H', 'W']]]);
    expect(graph.outputs.map(({ name }) => name)).to.deep.equal([
      'batch_norm',
      'layer_norm',
      'group_norm',
      'instance_norm',
    ]);
    expect(graph.parameters).to.deep.equal([]);
  });

  for (const [name, numGroups] of [
    ['layer_norm', 1],
    ['group_norm', 4],
    ['instance_norm', 8],
  ] as const) {
    it(`norm-comparison: ${name} normalises ${8 / numGroups} channels of a sample together`, () => {
      const expected = referenceGroupNorm({ x, numGroups, eps: 1e-5 });
      expect(maxAbsDifference(inBatch[name]!, expected)).to.be.below(2e-6);
    });

    it(`norm-comparison: ${name} gives the same for a sample alone and in a batch`, async () => {
      for (let index = 0; index < BATCH; index++) {
        const alone = await runGraph(graph, sampleOf(x, index));
        const together = toFloat64Array(sampleOf(inBatch[name]!, index));
        // Not 0, because a runtime may sum in another order.
        expect(maxAbsDifference(alone[name]!, together)).to.be.below(1e-6);
      }
    });
  }

  it('norm-comparison: batch_norm with batch statistics gives another result for a sample in another batch', async () => {
    for (let index = 0; index < BATCH; index++) {
      const alone = await runGraph(graph, sampleOf(x, index));
      const together = toFloat64Array(sampleOf(inBatch.batch_norm!, index));
      expect(maxAbsDifference(alone.batch_norm!, together)).to.be.above(0.5);
    }
  });

  it('norm-comparison takes images with 8 channels only, and has no options', () => {
    expect(refusal('norm-comparison', {}, [1, 4, 6, 5])).to.have.property('code', 'SHAPE_MISMATCH');
    expect(refusal('norm-comparison', { eps: 1 }).message).to.include('it has: none');
  });

  it('norm-comparison needs opset 17 for its LayerNormalization', async () => {
    expect(await runGraph(graph, x, 17)).to.have.keys(Object.keys(inBatch));
    const error: unknown = await runGraph(graph, x, 16).catch((reason: unknown) => reason);
    expect(error).to.have.property('code', 'OPERATOR_UNAVAILABLE');
  });
});
