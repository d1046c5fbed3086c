import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  chunksLength,
  joinChunks,
  modelChunks,
  type ModelToWrite,
} from '../../../lib/onnx/protobuf/chunks.js';
import { type ModelMessage, ModelProto } from '../../../lib/onnx/protobuf/proto.js';

const model = (rawData: Uint8Array): ModelMessage & ModelToWrite => ({
  irVersion: 10,
  opsetImport: [{ domain: '', version: 21 }],
  graph: {
    name: 'sample',
    node: [{ name: 'n', opType: 'Relu', input: ['w'], output: ['y'] }],
    initializer: [
      { name: 'w', dims: [rawData.length], dataType: 2, rawData },
      { name: 'v', dims: [1], dataType: 1, floatData: [0.5] },
    ],
  },
});

describe('modelChunks', () => {
  // Sizes on both sides of where a length takes one more byte.
  for (const size of [0, 1, 100, 127, 128, 16383, 16384, 3_000_000]) {
    it(`modelChunks writes a model that decodes to the same message, with ${size} bytes of weights`, () => {
      const message = model(Uint8Array.from({ length: size }, (_, i) => i % 251));
      const chunks = joinChunks(modelChunks(message) as Uint8Array[]);
      const expected = ModelProto.toObject(ModelProto.decode(ModelProto.encode(message).finish()));
      expect(ModelProto.toObject(ModelProto.decode(chunks))).to.deep.equal(expected);
    });
  }

  it('modelChunks returns the weights themselves and not a copy', () => {
    const weights = new Uint8Array(1e6);
    const chunks = modelChunks(model(weights));
    expect(chunks).to.include(weights);
    expect(chunksLength(chunks.filter((chunk) => chunk !== weights))).to.be.below(100);
  });
});
