import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { ModelError } from '../../lib/errors.js';
import { encodeModel, encodeModelExternal } from '../../lib/onnx/encode.js';
import { embedExternalData } from '../../lib/onnx/external-data.js';
import { joinChunks } from '../../lib/onnx/protobuf/chunks.js';
import { externalFiles } from '../../lib/onnx/protobuf/tensor-walk.js';
import { initializeWeights } from '../../lib/weights/initialize.js';
import { externalTensor, modelsWithTensor } from '../support/tensor-places.js';

const graph = getGraph('unet').build({ width: 8, numGroups: 4 });
const weights = initializeWeights(graph);
const { model, location, data } = encodeModelExternal(graph, weights, 'weights.bin');
const file = joinChunks(data);

describe('embedExternalData', () => {
  it('embedExternalData makes the model that has its weights in it from the start', () => {
    const embedded = embedExternalData(model, new Map([[location, file]]));
    expect(Buffer.compare(embedded, encodeModel(graph, weights))).to.equal(0);
    expect(embedExternalData(embedded, new Map())).to.equal(embedded);
  });

  it('embedExternalData finds a tensor in every place of a model', () => {
    const content = Uint8Array.from({ length: 64 }, (_, i) => i);
    for (const [place, bytes] of Object.entries(modelsWithTensor(externalTensor('a')))) {
      const embedded = embedExternalData(bytes, new Map([['a', content]]));
      expect(externalFiles(embedded).size, place).to.equal(0);
      expect(Buffer.from(embedded).includes(Buffer.from(content.subarray(0, 8))), place).to.equal(true);
    }
  });

  it('embedExternalData names the file that is missing or too short', () => {
    const attempt = (files: ReadonlyMap<string, Uint8Array>) => () => embedExternalData(model, files);
    expect(attempt(new Map([['other.bin', file]])))
      .to.throw(ModelError, "the model keeps weights in 'weights.bin': give these files with the model")
      .with.property('code', 'TENSOR_INVALID');
    expect(attempt(new Map([[location, file.subarray(1)]]))).to.throw(
      ModelError,
      `'weights.bin' has ${file.length - 1} bytes, but the model needs ${file.length}: get the whole file again`,
    );
  });
});
