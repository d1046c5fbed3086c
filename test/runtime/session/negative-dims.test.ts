import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { convertModel } from '../../../lib/rewrite/convert.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { runPlain } from '../../support/plain-runtime.js';

const CASE = { x: randomTensor('float32', [2, 4, 3, 5], { mean: 1000 }), numGroups: 2, eps: 2 ** -17 };

/** What torch.testing.assert_close allows of results of up to 4. */
const TOLERANCE = 1e-5 + 5.2e-6;

/** The standard operator, whose input and output have a negative size for N and for H. */
function modelOf(size: number): Uint8Array {
  const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
  for (const { type } of [...message.graph!.input!, ...message.graph!.output!]) {
    const dims = type!.tensorType!.shape!.dim!;
    dims[0] = dims[2] = { dimValue: size };
  }
  return ModelProto.encode(message).finish();
}

const WAYS: Readonly<Record<string, SessionOptions>> = {
  native: { providers: ['native'] },
  'cpu, as reduce-mean': { providers: ['cpu'], groupNorm: 'reduce-mean' },
  wasm: { providers: ['wasm'] },
};

describe('models with negative sizes', () => {
  for (const size of [-1, -7, -(2 ** 40)]) {
    for (const [way, options] of Object.entries(WAYS)) {
      it(`a session on ${way} takes a size of ${size} for an unknown size`, async () => {
        await using session = await createSession(modelOf(size), options);
        expect(session.inputs[0]!.shape).to.deep.equal(['', 4, '', 'D3']);
        const { y } = await session.run({ x: CASE.x });
        expect(maxAbsDifference(y!, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
      });
    }

    it(`convertModel takes a size of ${size} for an unknown size`, async () => {
      expect(Model.decode(modelOf(size)).typeOf('x')!.shape).to.deep.equal(['?', 4, '?', 'D3']);
      const { bytes, replaced } = convertModel(modelOf(size));
      expect(replaced.groupNormalization).to.equal(1);
      const y = await runPlain(bytes, CASE.x);
      expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    });
  }
});
