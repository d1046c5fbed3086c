import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OnnxGroupNormError } from '../../lib/errors.js';
import { LOWERING_NAMES } from '../../lib/lowering/types.js';
import { Model } from '../../lib/onnx/model.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import { createSession } from '../../lib/runtime/node.js';
import { corruptFiles } from '../support/corrupt.js';
import { groupNormModel, randomTensor } from '../support/group-norm.js';

const X = randomTensor('float32', [2, 8, 4, 4]);
const MODELS = LOWERING_NAMES.map((lowering) =>
  groupNormModel(
    {
      x: X,
      scale: randomTensor('float32', [8], { stream: 'scale' }),
      bias: randomTensor('float32', [8], { stream: 'bias' }),
      numGroups: 2,
      eps: 1e-5,
    },
    { lowering, opset: 21 },
  ),
);

describe('createSession on 2,000 broken models', () => {
  it('createSession runs each damaged model or refuses it with a typed error', async () => {
    let refused = 0;
    for (const { how, bytes } of corruptFiles(MODELS, 2000, 5)) {
      try {
        const session = await createSession(bytes);
        try {
          await session.run({ x: X });
        } finally {
          await session.dispose();
        }
      } catch (error) {
        expect(error, `${how}: ${(error as Error).stack}`).to.be.instanceOf(OnnxGroupNormError);
        refused += 1;
      }
    }
    expect(refused).to.be.within(500, 1999);
  }).timeout(60_000);

  it('Model.decode refuses a tensor whose shape claims more than the model holds, before it allocates memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    // TensorProto { dims: [2^40], data_type: FLOAT, name: "w" } in a graph's initializer, with an opset.
    const dims = [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    const initializer = [...dims, 0x10, 0x01, 0x42, 0x01, 0x77];
    const graph = [0x2a, initializer.length, ...initializer];
    const model = Uint8Array.from([0x08, 0x0a, 0x3a, graph.length, ...graph, 0x42, 0x02, 0x10, 0x15]);
    expect(() => Model.decode(model))
      .to.throw(OnnxGroupNormError, "initializer 'w'")
      .with.property('code', 'TENSOR_INVALID');
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
  });
});

describe('convertModel on 2,000 broken models', () => {
  it('convertModel converts each damaged model to a readable model, or refuses it with a typed error', () => {
    let refused = 0;
    for (const { how, bytes } of corruptFiles(MODELS, 2000, 6)) {
      try {
        Model.decode(convertModel(bytes).bytes);
      } catch (error) {
        expect(error, `${how}: ${(error as Error).stack}`).to.be.instanceOf(OnnxGroupNormError);
        refused += 1;
      }
    }
    expect(refused).to.be.within(200, 1999);
  }).timeout(60_000);
});
