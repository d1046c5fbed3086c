import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { freeInlinedNames } from '../../../lib/rewrite/norms/inlined-group-norm.js';

describe('freeInlinedNames', () => {
  it('freeInlinedNames renames inlined values to names that are free, except inputs and outputs', () => {
    const message = {
      irVersion: 10,
      opsetImport: [{ domain: '', version: 21 }],
      graph: {
        node: [
          { opType: 'Abs', input: ['_inlfunc_in'], output: ['_inlfunc_a'] },
          { opType: 'Neg', input: ['_inlfunc_a'], output: ['a'] },
          { opType: 'Add', input: ['a', '_inlfunc_w'], output: ['_inlfunc_out'] },
        ],
        initializer: [{ name: '_inlfunc_w', dims: [1], dataType: 1, rawData: new Uint8Array(4) }],
        input: [{ name: '_inlfunc_in' }],
        output: [{ name: '_inlfunc_out' }],
      },
    };
    const model = Model.decode(ModelProto.encode(message).finish());
    freeInlinedNames(model);
    expect(model.nodes.map(({ inputs, outputs }) => [...inputs, ...outputs])).to.deep.equal([
      ['_inlfunc_in', 'a_'],
      ['a_', 'a'],
      ['a', 'w', '_inlfunc_out'],
    ]);
    expect(model.constant('w')).not.to.equal(undefined);
  });
});
