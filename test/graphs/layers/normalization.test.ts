import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import {
  batchNorm,
  batchNormTraining,
  groupNorm,
  instanceNorm,
  layerNorm,
} from '../../../graphs/layers/normalization.js';
import onnxMatchers from '../../../lib/chai.js';
import { GraphError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import type { Value } from '../../../lib/graph/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { type DType, type Shape, tensor, type TensorData } from '../../../lib/tensor.js';
import { matchStateDict } from '../../../lib/weights/state-dict.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm, runModel } from '../../support/group-norm.js';
import { runGraph, shapesOf } from '../support.js';

use(onnxMatchers);

function graphOf(shape: Shape, layer: (g: GraphBuilder, x: Value) => Value, dtype: DType = 'float32') {
  const g = new GraphBuilder('test');
  g.output('y', layer(g, g.input('x', dtype, shape)));
  return g.build();
}

describe('groupNorm', () => {
  it('layer groupNorm takes the number of channels from its input by default', () => {
    const { parameters } = graphOf(['N', 6, 'L'], (g, x) => groupNorm(g.scope('gn1'), x, { numGroups: 3 }));
    expect(shapesOf(parameters)).to.deep.equal({ 'gn1.weight': [6], 'gn1.bias': [6] });
    expect(parameters.map(({ init }) => init)).to.deep.equal(['ones', 'zeros']);
  });

  it('layer groupNorm refuses an input with another number of channels than its option', () => {
    const build = () =>
      graphOf(['N', 6, 'L'], (g, x) => groupNorm(g.scope('gn1'), x, { numGroups: 3, numChannels: 9 }));
    expect(build).to.throw(GraphError, "GroupNorm 'gn1': 'x' [N, 6, L] has 6 channels, but numChannels is 9");
  });

  it('layer groupNorm refuses an input whose channels are not known', () => {
    const build = () => graphOf(['N', 'C', 'L'], (g, x) => groupNorm(g, x, { numGroups: 3 }));
    expect(build).to.throw(GraphError, 'the channel dimension must be a number');
  });
});

describe('batchNorm', () => {
  const { data: x } = randomTensor('float32', [2, 2, 3], { mean: 5 });
  const input = tensor('float32', [2, 2, 3], x);
  const vector = (a: number, b: number) => tensor('float32', [2], Float32Array.of(a, b));
  const statistics = { mean: [4, 5.5], variance: [2, 0.5] } as const;

  /** (x − mean) / √(variance + eps) · weight + bias of each channel, in float64. */
  const reference = (eps: number, weight: readonly number[], bias: readonly number[]): Float64Array =>
    Float64Array.from(x, (value, i) => {
      const channel = Math.floor(i / 3) % 2;
      const deviation = Math.sqrt(statistics.variance[channel]! + eps);
      return ((value - statistics.mean[channel]!) / deviation) * weight[channel]! + bias[channel]!;
    });

  it('layer batchNorm takes the keys of torch.nn.BatchNorm, num_batches_tracked among them, and its running statistics', async () => {
    const graph = graphOf(['N', 2, 'L'], (g, value) => batchNorm(g.scope('bn1'), value, { eps: 1e-3 }));
    const names = {
      'bn1.weight': 'ones',
      'bn1.bias': 'zeros',
      'bn1.running_mean': 'zeros',
      'bn1.running_var': 'ones',
    };
    expect(Object.fromEntries(graph.parameters.map(({ name, init }) => [name, init]))).to.deep.equal(names);
    const stateDict = new Map<string, TensorData>([
      ['bn1.weight', vector(2, -1)],
      ['bn1.bias', vector(0.5, 1)],
      ['bn1.running_mean', vector(...statistics.mean)],
      ['bn1.running_var', vector(...statistics.variance)],
      ['bn1.num_batches_tracked', tensor('int64', [], BigInt64Array.of(7n))],
    ]);
    const y = await runModel(encodeModel(graph, matchStateDict(graph, stateDict)), input);
    expect(y).to.matchTensor(reference(1e-3, [2, -1], [0.5, 1]), { checkDtype: false });
  });

  it('layer batchNorm without affine has the running statistics alone', async () => {
    const graph = graphOf(['N', 2, 'L'], (g, value) => batchNorm(g, value, { affine: false }));
    const stateDict = new Map<string, TensorData>([
      ['running_mean', vector(...statistics.mean)],
      ['running_var', vector(...statistics.variance)],
      ['num_batches_tracked', tensor('int64', [], BigInt64Array.of(7n))],
    ]);
    const y = await runModel(encodeModel(graph, matchStateDict(graph, stateDict)), input);
    expect(y).to.matchTensor(reference(1e-5, [1, 1], [0, 0]), { checkDtype: false });
  });

  it('layer batchNorm refuses an input whose channels are not known', () => {
    expect(() => graphOf(['N', 'C', 'L'], (g, value) => batchNorm(g, value))).to.throw(
      GraphError,
      'the channel dimension must be a number',
    );
  });
});

describe('batchNormTraining', () => {
  const shape = [3, 4, 5, 7];

  it('layer batchNormTraining normalises each channel over the batch and all places, and not over the channels', async () => {
    const x = randomTensor('float32', shape, { mean: 2, deviation: 3 });
    const { y } = await runGraph(graphOf(['N', 4, 'H', 'W'], batchNormTraining), x);
    const channel = (index: number) =>
      [0, 1, 2].flatMap((n) => [
        ...(y!.data.subarray((n * 4 + index) * 35, (n * 4 + index + 1) * 35) as Float32Array),
      ]);
    for (const values of [0, 1, 2, 3].map(channel)) {
      const mean = values.reduce((sum, v) => sum + v) / values.length;
      const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
      expect(mean).to.be.closeTo(0, 1e-6);
      // 1e-5 is eps against a variance of 9, and rounding.
      expect(variance).to.be.closeTo(1, 1e-5);
    }
  });

  it('layer batchNormTraining keeps its digits if the mean is large', async () => {
    // Means that float32 holds exactly, so that the float64 reference sees the same values.
    const x = randomTensor('float32', [1, 4, 5, 7], { mean: 1e4 });
    const { y } = await runGraph(graphOf(['N', 4, 'H', 'W'], batchNormTraining), x);
    // One sample: each channel by itself is GroupNorm with a group per channel.
    const expected = referenceGroupNorm({ x, numGroups: 4, eps: 1e-5 });
    // Centred once, the rounded mean alone would cost up to 1e4 · 2⁻²⁴ = 6e-4.
    expect(maxAbsDifference(y!, expected)).to.be.below(2e-6);
  });

  for (const dtype of ['float16', 'bfloat16', 'float64'] as const) {
    it(`layer batchNormTraining gives ${dtype} for ${dtype}`, async () => {
      const x = randomTensor(dtype, [1, 4, 5, 7]);
      const { y } = await runGraph(graphOf(['N', 4, 'H', 'W'], batchNormTraining, dtype), x);
      expect(y!.dtype).to.equal(dtype);
      // Values are below 4, so rounded once to float16's 11 bits or bfloat16's 8 they are off by at most half a unit.
      const tolerance = { float16: 2 ** -10, bfloat16: 2 ** -7, float64: 1e-12 }[dtype];
      expect(maxAbsDifference(y!, referenceGroupNorm({ x, numGroups: 4, eps: 1e-5 }))).to.be.at.most(
        tolerance * 1.01,
      );
    });
  }
});

describe('layerNorm and instanceNorm', () => {
  for (const [name, layer, numGroups] of [
    ['layerNorm', layerNorm, 1],
    ['instanceNorm', instanceNorm, 4],
  ] as const) {
    for (const dtype of ['float32', 'float64', 'float16', 'bfloat16'] as const) {
      it(`layer ${name} is GroupNorm with ${numGroups} groups of 4 channels in ${dtype}`, async () => {
        const x = randomTensor(dtype, [2, 4, 5, 7]);
        const { y } = await runGraph(graphOf(['N', 4, 'H', 'W'], layer, dtype), x);
        expect(y!.dtype).to.equal(dtype);
        const tolerance = { float16: 2 ** -10, bfloat16: 2 ** -7, float32: 2e-6, float64: 1e-11 }[dtype];
        const expected = referenceGroupNorm({ x, numGroups, eps: 1e-5 });
        expect(maxAbsDifference(y!, expected)).to.be.at.most(tolerance * 1.01);
      });
    }
  }
});
