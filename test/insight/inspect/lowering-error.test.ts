import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LOWERING_NAMES } from '../../../lib/index.js';
import { errorOfLowering } from '../../../lib/insight/inspect/lowering-error.js';
import { NODE } from '../../../lib/runtime/node.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../../support/group-norm.js';

describe('errorOfLowering', () => {
  const x = randomTensor('float32', [2, 8, 6, 5], { mean: 300, deviation: 2 });
  // Without scale and bias, so that the model's output is what is measured.
  const norm = { x, numGroups: 4, eps: 1e-5 };
  const model = groupNormModel(norm, { lowering: 'op', opset: 21 });

  for (const groupNorm of LOWERING_NAMES)
    it(`errorOfLowering returns how far GroupNorm as ${groupNorm} is from float64`, async () => {
      const error = await errorOfLowering(NODE, model, groupNorm, { feeds: { x }, provider: 'cpu' });
      const y = await runModel(model, x, { providers: ['cpu'], groupNorm });
      const expected = maxAbsDifference(y, referenceGroupNorm(norm));
      expect(expected).to.be.above(groupNorm === 'op' ? 1e-4 : 1e-8);
      expect(error!.maxAbs).to.be.closeTo(expected, expected / 100);
      expect(error!.toleranceUsed).to.be.within(error!.maxAbs / 2e-5, error!.maxAbs / 1e-5);
    });
});
