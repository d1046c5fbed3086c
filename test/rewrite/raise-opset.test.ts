import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../lib/onnx/model.js';
import { ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { raiseOpset6 } from '../../lib/rewrite/raise-opset.js';

/** A chain of operators of one input each. */
function chain(opset: number, ...opTypes: string[]): Model {
  const node = opTypes.map((opType, index) => ({ opType, input: [`v${index}`], output: [`v${index + 1}`] }));
  const opsetImport = [
    { domain: 'com.example', version: 1 },
    { domain: '', version: opset },
  ];
  return Model.decode(
    ModelProto.encode({ irVersion: 3, opsetImport, graph: { name: 'chain', node } }).finish(),
  );
}

describe('raiseOpset6', () => {
  it('raiseOpset6 makes a model of opset 6 one of opset 7, and leaves its other operator sets', () => {
    const model = chain(6, 'Relu', 'InstanceNormalization');
    raiseOpset6(model);
    expect(model.opset).to.equal(7);
    const { opsetImport } = ModelProto.decode(model.encode());
    expect(opsetImport.map(({ domain, version }) => [domain, Number(version)])).to.deep.equal([
      ['com.example', 1],
      ['', 7],
    ]);
  });

  it('raiseOpset6 leaves a model with an operator that opset 7 changed', () => {
    const model = chain(6, 'Relu', 'Dropout');
    raiseOpset6(model);
    expect(model.opset).to.equal(6);
  });

  it('raiseOpset6 leaves models of other opsets', () => {
    for (const opset of [5, 7, 8]) {
      const model = chain(opset, 'Relu');
      raiseOpset6(model);
      expect(model.opset).to.equal(opset);
    }
  });
});
