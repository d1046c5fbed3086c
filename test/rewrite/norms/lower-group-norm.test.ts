import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import {
  isFloat64InstanceNorm,
  isGroupNorm,
  lowerNormalizations,
} from '../../../lib/rewrite/norms/group-normalization.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../../support/group-norm.js';

const CASE = {
  x: randomTensor('float32', [2, 8, 5, 3]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: 1e-5,
};
const opTypes = (model: Model): string[] => model.nodes.map(({ opType }) => opType);

describe('lowerNormalizations', () => {
  for (const opset of [18, 20, 21, 25]) {
    it(`lowerNormalizations replaces every GroupNormalization at opset ${opset}, with the result of float64`, async () => {
      const model = Model.decode(groupNormModel(CASE, { lowering: 'op', opset }));
      expect(lowerNormalizations(model, 'reduce-mean', isGroupNorm)).to.deep.equal({
        replaced: 1,
        refusals: [],
      });
      expect(opTypes(model)).to.not.include('GroupNormalization');
      const y = await runModel(model.encode(), CASE.x, { groupNorm: 'op' });
      expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(2e-6);
    });
  }

  it('lowerNormalizations leaves out Mul and Add if scale and bias are constant ones and zeros', () => {
    const plain = { ...CASE, scale: undefined, bias: undefined };
    const model = Model.decode(groupNormModel(plain, { lowering: 'op', opset: 21, shape: plain.x.dims }));
    lowerNormalizations(model, 'layer-norm', isGroupNorm);
    expect(opTypes(model)).to.not.include('Mul').and.not.include('Add');
  });

  it('lowerNormalizations replaces InstanceNormalization in float64 only', () => {
    const x = randomTensor('float64', [2, 8, 5, 3]);
    const wide = Model.decode(
      groupNormModel({ x, numGroups: 4, eps: 1e-5 }, { lowering: 'instance-norm', opset: 17 }),
    );
    expect(lowerNormalizations(wide, 'reduce-mean', isFloat64InstanceNorm).replaced).to.equal(1);
    const narrow = Model.decode(groupNormModel(CASE, { lowering: 'instance-norm', opset: 17 }));
    expect(lowerNormalizations(narrow, 'reduce-mean', isFloat64InstanceNorm).replaced).to.equal(0);
  });

  it('lowerNormalizations reports a node without declared types, and leaves it', () => {
    const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    message.graph!.input = [];
    const model = Model.decode(ModelProto.encode(message).finish());
    const { replaced, refusals } = lowerNormalizations(model, 'reduce-mean', isGroupNorm);
    expect(replaced).to.equal(0);
    expect(refusals).to.have.lengthOf(1);
    expect(refusals[0])
      .to.include('GroupNormalization')
      .and.include("does not declare the rank of the node's input")
      .and.include('onnx.shape_inference.infer_shapes');
  });
});
