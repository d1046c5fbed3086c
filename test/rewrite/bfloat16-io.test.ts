import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../lib/onnx/model.js';
import { widenBfloat16 } from '../../lib/rewrite/bfloat16-io.js';
import { groupNormModel, randomTensor } from '../support/group-norm.js';

const model = (dtype: 'bfloat16' | 'float32'): Model =>
  Model.decode(
    groupNormModel(
      { x: randomTensor(dtype, [1, 4, 3]), numGroups: 2, eps: 1e-5 },
      { lowering: 'reduce-mean', opset: 21 },
    ),
  );

describe('widenBfloat16', () => {
  it('widenBfloat16 makes inputs and outputs float32 and keeps their names and shapes', () => {
    const changed = model('bfloat16');
    const { shape } = changed.typeOf('x')!;
    expect(widenBfloat16(changed)).to.deep.equal(new Set(['x', 'y']));
    expect([changed.inputNames, changed.outputNames]).to.deep.equal([['x'], ['y']]);
    for (const name of ['x', 'y']) expect(changed.typeOf(name)).to.deep.equal({ dtype: 'float32', shape });
  });

  it('widenBfloat16 does not modify a model without bfloat16', () => {
    const untouched = model('float32');
    const before = untouched.encode();
    expect(widenBfloat16(untouched).size).to.equal(0);
    expect(untouched.encode()).to.deep.equal(before);
  });
});
