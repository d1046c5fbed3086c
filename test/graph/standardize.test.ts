import { expect } from 'chai';
import { describe, it } from 'mocha';
import { conv } from '../../graphs/layers/convolution.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import { castTensor, toFloat64Array } from '../../lib/half.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { Model } from '../../lib/onnx/model.js';
import { tensor } from '../../lib/tensor.js';
import { standardizeWeight } from '../../lib/graph/standardize.js';
import { expectGraphError } from './support.js';

const WEIGHT = tensor(
  'float64',
  [3, 1, 2, 2],
  Float64Array.of(1, 2, 4, -3, 0.5, 0.5, 0.5, 0.5, 1000, 1001, 1002.5, 999),
);

/** The means are 1, 0.5 and 1000.625, the variances 6.5, 0 and 1.671875: all of them exact in float64. */
const expected = (eps: number): number[] => [
  ...[0, 1, 3, -4].map((difference) => difference / Math.sqrt(6.5 + eps)),
  ...[0, 0, 0, 0],
  ...[-0.625, 0.375, 1.875, -1.625].map((difference) => difference / Math.sqrt(1.671875 + eps)),
];

/**
 * From PyTorch 2.13 in float64: `F.batch_norm(w.reshape(1, 3, -1), None, None, training=True, eps=0.25)`. It adds up products
 * of about 1000, so that it is right to 1e-13.
 */
const BY_PYTORCH = [
  ...[0, 0.3849001794597505, 1.1547005383792515, -1.539600717839002],
  ...[0, 0, 0, 0],
  ...[-0.45083481733373976, 0.2705008904002061, 1.352504452001125, -1.1721705250676857],
];

describe('standardizeWeight', () => {
  it('standardizeWeight subtracts the mean of each output channel and divides by its deviation, with eps', () => {
    for (const eps of [1e-8, 0.25]) {
      const { dims, data } = standardizeWeight(WEIGHT, eps);
      expect(dims).to.deep.equal([3, 1, 2, 2]);
      expect([...data]).to.deep.equal(expected(eps));
    }
    for (const [i, value] of BY_PYTORCH.entries()) expect(expected(0.25)[i]).to.be.closeTo(value, 1e-13);
  });

  it('standardizeWeight rounds once, to the dtype of the weight', () => {
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
      const weight = castTensor(WEIGHT, dtype);
      const wide = tensor('float64', weight.dims, toFloat64Array(weight).slice());
      expect(standardizeWeight(weight, 1e-8)).to.deep.equal(castTensor(standardizeWeight(wide, 1e-8), dtype));
    }
  });

  it('standardizeWeight leaves its argument as it is', () => {
    const weight = tensor('float64', [1, 2], Float64Array.of(1, 3));
    standardizeWeight(weight, 0);
    expect([...weight.data]).to.deep.equal([1, 3]);
  });

  it('a model has the standardised weights of a layer conv with standardizeEps, under the key of the state_dict', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [1, 1, 5, 5]);
    g.output(
      'y',
      conv(g.scope('conv'), x, { outChannels: 3, kernelSize: 2, bias: false, standardizeEps: 0.25 }),
    );
    const weights = new Map([['conv.weight', castTensor(WEIGHT, 'float32')]]);
    const model = Model.decode(encodeModel(g.build(), weights));
    const constant = model.constant('conv.weight')!;
    expect(constant).to.deep.equal(standardizeWeight(castTensor(WEIGHT, 'float32'), 0.25));
    for (const [i, value] of expected(0.25).entries()) expect(constant.data[i]).to.be.closeTo(value, 1e-7);
  });

  it('a parameter refuses a standardizeEps below 0, of integers or of a vector', () => {
    const g = new GraphBuilder('test');
    for (const [dtype, shape, standardizeEps] of [
      ['float32', [2, 3], -1],
      ['float32', [2, 3], NaN],
      ['int64', [2, 3], 1],
      ['float32', [2], 1],
    ] as const) {
      expectGraphError(
        () => g.parameter('weight', { dtype, shape, standardizeEps }),
        'INVALID_ATTRIBUTE',
        `parameter 'weight': standardizeEps`,
      );
    }
  });
});
