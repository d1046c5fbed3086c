import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError, OnnxGroupNormError, WeightsError } from '../../lib/errors.js';
import { decodeNpy } from '../../lib/files/npy.js';
import { Model } from '../../lib/onnx/model.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { npyFile, safetensorsFile } from './files.js';

describe('files that claim more than they hold', () => {
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

  it('decodeNpy refuses a huge claim before it allocates memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const shape of ['(1000000000,)', '(9007199254740991,)', '(4294967296, 4294967296)']) {
      for (const data of [4, 64]) {
        const bytes = npyFile(`{'descr': '<f8', 'fortran_order': True, 'shape': ${shape}}`, 1, data);
        expect(() => decodeNpy(bytes)).to.throw(FileError);
      }
    }
    const header = npyFile('', 2, 0);
    new DataView(header.buffer).setUint32(8, 0xffffffff, true);
    expect(() => decodeNpy(header)).to.throw(FileError, 'claims 4294967295 bytes');
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
  });

  it('decodeSafetensors refuses a huge claim before it allocates memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    const headerLength = safetensorsFile('{}', 0);
    new DataView(headerLength.buffer).setBigUint64(0, 2n ** 64n - 1n, true);
    expect(() => decodeSafetensors(headerLength)).to.throw(WeightsError, 'claims 18446744073709551615 bytes');
    for (const dims of ['1000000000', '9007199254740991', '4294967296,4294967296']) {
      const size = String(dims.split(',').reduce((product, dim) => product * Number(dim), 8));
      const entry = `{"a":{"dtype":"F64","shape":[${dims}],"data_offsets":[0,${size}]}}`;
      expect(() => decodeSafetensors(safetensorsFile(entry, 8))).to.throw(WeightsError);
    }
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
  });

  it('decodeSafetensors refuses JSON nested 200,000 deep, and a string of as many escapes, without a stack overflow', () => {
    const deep = `{"a":${'['.repeat(2e5)}${']'.repeat(2e5)}}`;
    expect(() => decodeSafetensors(safetensorsFile(deep, 0))).to.throw(WeightsError, "tensor 'a'");
    const objects = `{"a":${'{"a":'.repeat(2e5)}1${'}'.repeat(2e5)}}`;
    expect(() => decodeSafetensors(safetensorsFile(objects, 0))).to.throw(
      WeightsError,
      'lists or objects are nested more than 64 deep',
    );
    const escapes = `{"${'\\n'.repeat(2e5)}":1}`;
    expect(() => decodeSafetensors(safetensorsFile(escapes, 0))).to.throw(WeightsError, 'must be an object');
  });
});
