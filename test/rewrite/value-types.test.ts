import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { Model, UNKNOWN_DIM } from '../../lib/onnx/index.js';
import { ModelProto } from '../../lib/onnx/proto.js';
import { ValueTypes } from '../../lib/rewrite/value-types.js';

const sample = readFileSync(new URL('../samples/value-types.onnx', import.meta.url));

/** Of which no size is said to be known, though ONNX knows it. */
const SIZES_UNKNOWN = ['conv_same', 'pool_ceil', 'left', 'right', 'resized', 'padded'];

/** The same model, which declares nothing but its inputs and outputs. */
function undeclared(): Model {
  const message = ModelProto.decode(sample);
  message.graph!.valueInfo = [];
  return Model.decode(ModelProto.encode(message).finish());
}

describe('the types of values that a model does not declare', () => {
  const declared = Model.decode(sample);
  const types = new ValueTypes(undeclared());
  for (const name of declared.nodes.flatMap(({ outputs }) => outputs)) {
    const expected = declared.typeOf(name)!;
    // ONNX says nothing more of these than that there is a result.
    if (['dyns', 'dynz', 'greater'].includes(name)) continue;
    it(`are those that ONNX infers, for '${name}'`, () => {
      const { dtype, shape } = types.typeOf(name);
      expect(dtype).to.equal(expected.dtype);
      if (SIZES_UNKNOWN.includes(name)) {
        expect(shape).to.have.lengthOf(expected.shape.length).and.include(UNKNOWN_DIM);
        shape!.forEach((dim, axis) => expect([UNKNOWN_DIM, expected.shape[axis]]).to.include(dim));
      } else {
        expect(shape).to.deep.equal(expected.shape);
      }
    });
  }

  it('are not those of an operator where the model has a function of its name', () => {
    const model = undeclared();
    model.isFunctionCall = ({ opType }) => opType === 'Conv';
    expect(new ValueTypes(model).typeOf('conv')).to.deep.equal({ dtype: undefined, shape: undefined });
  });
});

describe('the constants of a model', () => {
  const types = new ValueTypes(undeclared());

  it('are its initializers, and what Constant gives in each of its forms', () => {
    const read = (name: string) => {
      const { dtype, dims, data } = types.constant(name)!;
      return [dtype, dims, [...data].map(Number)];
    };
    expect(['rows', 'floats', 'float', 'ints', 'int'].map(read)).to.deep.equal([
      ['int64', [3], [0, 2, -1]],
      ['float32', [2], [1, 2]],
      ['float32', [], [1]],
      ['int64', [3], [1, 2, 3]],
      ['int64', [], [1]],
    ]);
    expect(['x', 'conv', ''].map((name) => types.constant(name))).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('and the shape of a value are sizes; others are known by their number at most', () => {
    expect(types.sizes('rows')).to.deep.equal([0, 2, -1]);
    expect(types.sizes('shape')).to.deep.equal([2, 4, 12, 8]);
    expect(types.sizes('flat')).to.equal(undefined);
    expect(types.shapeIsOf('shape')).to.equal('x');
  });
});
