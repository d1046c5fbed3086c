import { readdirSync, readFileSync } from 'node:fs';
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
  runModel,
} from '../support/group-norm.js';
import { runPlain } from '../support/plain-runtime.js';
import { withReversedNodes, withShuffledNodes } from '../support/shuffle.js';

const CASE: GroupNormCase = {
  x: randomTensor('float32', [2, 8, 12, 10], { mean: 1000, deviation: 0.1 }),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: Math.fround(1e-5),
};
const EXPECTED = referenceGroupNorm(CASE);

/** Results of up to 10: what torch.testing.assert_close allows of them. */
const TOLERANCE = 1e-5 + 1.3e-5;

/** The model's nodes in three random orders, and from last to first. */
const reordered = (model: Uint8Array): Uint8Array[] => [
  withReversedNodes(model),
  ...[1, 2, 3].map((seed) => withShuffledNodes(model, seed)),
];

describe('models whose nodes stand in any order', () => {
  for (const opset of [13, 17, 18, 21]) {
    for (const lowering of loweringsAt(opset).filter((name) => name !== 'op')) {
      it(`convertModel writes a shuffled export of opset ${opset} as ${lowering}, and loses no node`, async () => {
        for (const model of reordered(exportedModel(CASE, opset))) {
          const { bytes, replaced } = convertModel(model, { lowering });
          expect(replaced.exported).to.equal(1);
          expect(maxAbsDifference(await runPlain(bytes, CASE.x), EXPECTED)).to.be.below(TOLERANCE);
        }
      });
    }
  }

  it('convertModel keeps a node that stands behind its reader', async () => {
    // [GroupNormalization of c, Relu that makes c]
    const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    const [norm] = message.graph!.node!;
    norm!.input![0] = 'c';
    message.graph!.node!.push({ opType: 'Relu', input: ['x'], output: ['c'] });
    const { bytes } = convertModel(ModelProto.encode(message).finish());
    expect(maxAbsDifference(await runPlain(bytes, CASE.x), EXPECTED)).to.be.below(TOLERANCE);
  });

  const samples = new URL('../samples/', import.meta.url);
  for (const name of readdirSync(samples).filter((file) => file.endsWith('-norm.onnx'))) {
    it(`convertModel gives the same results for ${name} with its nodes in any order`, async () => {
      const x = randomTensor('float32', [2, 4, 6, 5], { mean: 300 });
      const affine = (data: number[]) => ({
        dtype: 'float32' as const,
        dims: [4],
        data: Float32Array.from(data),
      });
      const one = {
        x,
        scale: affine([1, 2, 3, 4]),
        bias: affine([-1, -1, -1, -1]),
        numGroups: 2,
        eps: CASE.eps,
      };
      const expected = referenceGroupNorm(one).map((value) => Math.max(0, value));
      for (const model of reordered(new Uint8Array(readFileSync(new URL(name, samples))))) {
        const { bytes } = convertModel(model);
        expect(maxAbsDifference(await runPlain(bytes, x), expected)).to.be.below(TOLERANCE);
        for (const provider of ['cpu', 'wasm'] as const) {
          const y = await runModel(model, x, { providers: [provider] });
          expect(maxAbsDifference(y, expected)).to.be.below(TOLERANCE);
        }
      }
    });
  }
});
