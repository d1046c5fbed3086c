import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { decodeTensorFile } from '../../lib/onnx/tensors.js';
import { tensorBytes } from '../../lib/tensor.js';
import { corruptFiles } from '../support/corrupt.js';

const FOLDER = new URL('../samples/tensors/', import.meta.url);
const samples = readdirSync(FOLDER).map((name) => new Uint8Array(readFileSync(new URL(name, FOLDER))));

describe('decodeTensorFile on 3,000 broken files', () => {
  it('decodeTensorFile decodes or refuses each damaged file, and takes no more memory than its elements', () => {
    let refused = 0;
    for (const { how, bytes } of corruptFiles(samples, 3000, 5)) {
      try {
        const { tensor } = decodeTensorFile(bytes, 'a.pb');
        // An element of 8 bytes is a varint of at least one.
        expect(tensorBytes(tensor).byteLength, how).to.be.at.most(8 * bytes.byteLength);
      } catch (error) {
        expect(error, how).to.be.instanceOf(ModelError).with.property('code', 'TENSOR_INVALID');
        refused++;
      }
    }
    expect(refused).to.be.within(1000, 2900);
  });
});
