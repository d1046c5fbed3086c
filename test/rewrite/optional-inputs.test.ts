import { expect } from 'chai';
import { describe, it } from 'mocha';
import { loweringsAt } from '../../lib/lowering/choose.js';
import { ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import { exportedModel } from '../support/exported-model.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../support/group-norm.js';
import { runWithInputs, withInitializersAsInputs } from '../support/optional-inputs.js';

const CASE: GroupNormCase = {
  x: randomTensor('float32', [2, 8, 6, 5], { mean: 1000, deviation: 0.1 }),
  scale: randomTensor('float32', [8], { mean: 1, deviation: 0 }),
  bias: randomTensor('float32', [8], { deviation: 0 }),
  numGroups: 4,
  eps: Math.fround(1e-5),
};
const scale = randomTensor('float32', [8], { stream: 'scale' });
const bias = randomTensor('float32', [8], { stream: 'bias' });
const EXPECTED = referenceGroupNorm({ ...CASE, scale, bias });

/** Results of up to 10: what torch.testing.assert_close allows of them. */
const TOLERANCE = 1e-5 + 1.3e-5;

const names = (list: readonly { name?: string | null }[] | null | undefined) =>
  (list ?? []).map(({ name }) => name);

describe('convertModel of models whose initializers are inputs', () => {
  for (const lowering of loweringsAt(21).filter((name) => name !== 'op')) {
    it(`convertModel to ${lowering} keeps scale and bias as inputs that a caller may override`, async () => {
      const model = withInitializersAsInputs(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
      const { bytes, replaced } = convertModel(model, { lowering });
      expect(replaced.groupNormalization).to.equal(1);
      const y = await runWithInputs(bytes, { x: CASE.x, weight: scale, bias });
      expect(maxAbsDifference(y, EXPECTED)).to.be.below(TOLERANCE);
      const defaults = await runWithInputs(bytes, { x: CASE.x });
      expect(maxAbsDifference(defaults, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    });

    it(`convertModel to ${lowering} keeps the scale and bias of a PyTorch export overridable`, async () => {
      const isInput = ({ dims }: { dims?: readonly unknown[] | null }) => dims!.length === 3;
      const model = withInitializersAsInputs(exportedModel({ ...CASE, scale, bias }, 21), { isInput });
      const { bytes, replaced } = convertModel(model, { lowering });
      expect(replaced.exported).to.equal(1);
      const [weight, offset] = names(ModelProto.decode(bytes).graph!.input).slice(1) as string[];
      const column = (data: typeof scale) => ({ ...data, dims: [8, 1, 1] });
      const y = await runWithInputs(bytes, { x: CASE.x, [weight!]: column(bias), [offset!]: column(scale) });
      const swapped = referenceGroupNorm({ ...CASE, scale: bias, bias: scale });
      expect(maxAbsDifference(y, swapped)).to.be.below(TOLERANCE);
    });
  }

  it('convertModel lists new constants as inputs, as version 3 of the file format demands', async () => {
    const model = withInitializersAsInputs(groupNormModel(CASE, { lowering: 'op', opset: 21 }), {
      irVersion: 3,
    });
    const { bytes } = convertModel(model);
    const { initializer, input } = ModelProto.decode(bytes).graph!;
    expect(names(input)).to.have.members(['x', ...names(initializer)]);
    expect(initializer).to.have.length.above(2);
    const y = await runWithInputs(bytes, { x: CASE.x });
    expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
  });
});
