import { expect } from 'chai';
import { describe, it } from 'mocha';
import { tensor, type Shape, type TensorData } from '../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../support/group-norm.js';

/** As after a ReLU: half of the elements are equal, so that the errors of a long sum all have one sign. */
function afterRelu(dims: readonly number[]): TensorData {
  const { data } = randomTensor('float32', dims);
  return tensor(
    'float32',
    dims,
    data.map((value) => Math.max(value, 0)),
  );
}

/** The distance from float64 where the input is declared as `shape`. */
async function errorOf(x: TensorData, shape: Shape, opset = 21, numGroups = 1): Promise<number> {
  const groupNorm = { x, numGroups, eps: 1e-5 };
  const y = await runModel(groupNormModel(groupNorm, { lowering: 'reduce-mean', opset, shape }), x);
  expect(y.dims).to.deep.equal(x.dims);
  return maxAbsDifference(y, referenceGroupNorm(groupNorm));
}

describe('reduce-mean of long rows', () => {
  // 4e-6 is half a unit in the last place of 7, the largest result, for each of some 16 operations. Sums of
  // whole rows were seen to cost 1e-3, and 1e-2 with T before a 1.
  for (const [what, dims, shape] of [
    ['a prime number, known', [1, 1, 262_147], [1, 1, 262_147]],
    ['twice a prime', [1, 2, 131_101], ['N', 2, 131_101]],
    ['a name', [1, 1, 262_147], ['N', 1, 'L']],
    ['a name before a 1', [1, 1, 262_144, 1], ['N', 1, 'T', 1]],
    ['a name before a name that comes to 1', [1, 1, 262_144, 1], ['N', 1, 'T', 'W']],
    ['a name after one that comes to 1', [1, 2, 1, 131_072], ['N', 2, 'H', 'W']],
  ] as const) {
    it(`reduce-mean of long rows whose length is ${what} is within 4e-6 of float64 after a ReLU`, async () => {
      expect(await errorOf(afterRelu(dims), shape)).to.be.below(4e-6);
    });
  }

  // Sizes around those at which a row is divided another way. A sum of 1024 such terms is off by 1e-6 of itself,
  // which is 5e-7 of results of up to 7.
  for (const length of [1023, 1024, 1025, 2048, 4095, 4096, 4097, 4099, 4100]) {
    it(`reduce-mean of rows of ${length} elements, known and named, is right at the first opset`, async () => {
      const x = afterRelu([2, 2, length]);
      expect(await errorOf(x, [2, 2, length], 13, 2)).to.be.below(4e-6);
      expect(await errorOf(x, ['N', 2, 'L'], 13, 2)).to.be.below(4e-6);
    });
  }

  // Five in six are 0, so that their squares about the mean are one number, and its sums are rounded one way.
  for (const length of [1024, 2048, 4096]) {
    it(`reduce-mean of rows of ${length} elements is right if few are left by a ReLU`, async () => {
      const shifted = randomTensor('float32', [4, 2, length], { mean: -1 });
      const x = tensor(
        'float32',
        shifted.dims,
        shifted.data.map((value) => Math.max(value, 0)),
      );
      expect(await errorOf(x, [4, 2, length], 13, 2)).to.be.below(1e-5);
      expect(await errorOf(x, ['N', 2, 'L'], 13, 2)).to.be.below(1e-5);
    });
  }

  it('reduce-mean of long rows keeps its accuracy if the mean is large', async () => {
    const x = randomTensor('float32', [1, 1, 65_537], { mean: 1e4 });
    expect(await errorOf(x, ['N', 1, 'L'])).to.be.below(2e-6);
    expect(await errorOf(x, [1, 1, 65_537])).to.be.below(2e-6);
  });

  it('reduce-mean of long rows makes no NaN of equal numbers, whose variance is 0 but for rounding', async () => {
    for (const value of [1e5, 24631513]) {
      const x = tensor('float32', [1, 1, 4099], new Float32Array(4099).fill(value));
      const model = groupNormModel(
        { x, numGroups: 1, eps: 1e-12 },
        { lowering: 'reduce-mean', opset: 21, shape: x.dims },
      );
      expect(((await runModel(model, x)).data as Float32Array).every(Number.isFinite)).to.equal(true);
    }
  });

  it('reduce-mean takes rows of any length from one model, and rows without elements', async () => {
    const model = groupNormModel(
      { x: randomTensor('float32', [1, 4, 1]), numGroups: 2, eps: 1e-5 },
      { lowering: 'reduce-mean', opset: 13, shape: ['N', 4, 'L'] },
    );
    for (const dims of [
      [2, 4, 1],
      [1, 4, 5000],
      [3, 4, 7],
      [0, 4, 5000],
      [2, 4, 0],
      [0, 4, 0],
    ]) {
      const x = randomTensor('float32', dims);
      const y = await runModel(model, x);
      expect(y.dims).to.deep.equal(dims);
      expect(maxAbsDifference(y, referenceGroupNorm({ x, numGroups: 2, eps: 1e-5 }))).to.be.below(2e-6);
    }
  });

  for (const opset of [13, 18, 25]) {
    it(`reduce-mean gives an empty result if a named spatial size is 0, at opset ${opset}`, async () => {
      for (const dims of [
        [2, 4, 3, 0],
        [2, 4, 0, 3],
        [2, 4, 0, 0],
        [2, 4, 2, 3, 0],
        [2, 4, 0, 2, 3],
      ]) {
        const shape = ['N', 4, ...dims.slice(2).map((_, axis) => `D${axis}`)];
        expect(await errorOf(randomTensor('float32', dims), shape, opset, 2)).to.equal(0);
      }
    });
  }

  it('reduce-mean of named sizes keeps a NaN or an infinity in the group that has it', async () => {
    for (const bad of [NaN, Infinity]) {
      const x = randomTensor('float32', [2, 4, 3, 5]);
      x.data[0] = bad;
      const shape = ['N', 4, 'H', 'W'];
      const model = groupNormModel(
        { x, numGroups: 2, eps: 1e-5 },
        { lowering: 'reduce-mean', opset: 18, shape },
      );
      const y = (await runModel(model, x)).data as Float32Array;
      expect(y.subarray(30).every(Number.isFinite)).to.equal(true);
    }
  });

  it('reduce-mean takes (N, C) whose groups have a large prime number of channels', async () => {
    const x = randomTensor('float32', [2, 4106], { mean: 1000 });
    expect(await errorOf(x, [2, 4106], 18, 2)).to.be.below(2e-6);
    expect(await errorOf(x, ['N', 4106], 13, 2)).to.be.below(2e-6);
  });
});
