import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../../graphs/registry.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { unfitSizes } from '../../../lib/rewrite/analysis/fitting-sizes.js';
import { initializeWeights } from '../../../lib/weights/initialize.js';

const unet = getGraph('unet').build({ width: 8 });
const model = Model.decode(encodeModel(unet, initializeWeights(unet)));
const unfit = (sizes: Record<string, number>) => unfitSizes(model, new Map(Object.entries(sizes)));

describe('the sizes that a model can take', () => {
  it('unfitSizes names each size that a U-Net of four halvings cannot take, and the multiples of 16 beside it', () => {
    expect(unfit({ N: 1, H: 64, W: 48 })).to.deep.equal([]);
    expect(unfit({ N: 1, H: 65, W: 65 })).to.deep.equal([
      { name: 'H', size: 65, fitting: [64, 80] },
      { name: 'W', size: 65, fitting: [64, 80] },
    ]);
    expect(unfit({ N: 1, H: 64, W: 9 })).to.deep.equal([{ name: 'W', size: 9, fitting: [16] }]);
  });

  it('unfitSizes says nothing of names that a model does not have', () => {
    expect(unfit({ height: 65 })).to.deep.equal([]);
  });
});
