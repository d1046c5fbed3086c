import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { ModelError } from '../../lib/errors.js';
import { encodeModel, encodeModelExternal } from '../../lib/onnx/encode.js';
import { embedExternalData, embedInBlob } from '../../lib/onnx/external-data.js';
import { joinChunks } from '../../lib/onnx/protobuf/chunks.js';
import { Model } from '../../lib/onnx/model.js';
import { externalFiles } from '../../lib/onnx/protobuf/tensor-walk.js';
import { tensor } from '../../lib/tensor.js';
import { initializeWeights } from '../../lib/weights/initialize.js';
import { externalTensor, modelsWithTensor } from '../support/tensor-places.js';

const graph = getGraph('unet').build({ width: 8, numGroups: 4 });
const weights = initializeWeights(graph);
const { model, location, data } = encodeModelExternal(graph, weights, 'weights.bin');
const file = joinChunks(data);
/** Bytes of a large weight, which no weight has exactly. */
const LARGE = 2 ** 14 - 2;
const large = [...weights.values()].filter(({ data: { byteLength } }) => byteLength > LARGE);

describe('weights in files of their own', () => {
  it('embedExternalData makes the model that has its weights in it from the start', () => {
    const embedded = embedExternalData(model, new Map([[location, file]]));
    expect(Buffer.compare(embedded, encodeModel(graph, weights))).to.equal(0);
    expect(embedExternalData(embedded, new Map())).to.equal(embedded);
  });

  it('embedInBlob makes the same model out of parts of the files', async () => {
    const blob = embedInBlob(model as Uint8Array<ArrayBuffer>, new Map([[location, new Blob([file])]]));
    expect(Buffer.compare(new Uint8Array(await blob.arrayBuffer()), encodeModel(graph, weights))).to.equal(0);
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

  it('detachWeights leaves a model that names its large weights in the bytes that it was read from', () => {
    const bytes = encodeModel(graph, weights);
    const decoded = Model.decode(bytes);
    expect(decoded.detachWeights('whole', LARGE)).to.equal(large.length);
    const detached = decoded.encode();
    expect(detached.byteLength).to.be.below(bytes.byteLength / 4);
    expect(Buffer.compare(embedExternalData(detached, new Map([['whole', bytes]])), bytes)).to.equal(0);
  });

  it('detachWeights leaves alone what a pass has added, which is not in these bytes', () => {
    const decoded = Model.decode(encodeModel(graph, weights));
    decoded.setConstants(new Map([['added', tensor('float32', [8192], new Float32Array(8192))]]));
    expect(decoded.detachWeights('whole', LARGE)).to.equal(large.length);
    expect(Model.decode(decoded.encode()).constant('added')?.data).to.have.length(8192);
  });
});
