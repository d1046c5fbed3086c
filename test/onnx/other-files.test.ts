import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { Model } from '../../lib/onnx/model.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import { createSession } from '../../lib/runtime/node.js';
import { OTHER_FILES } from '../support/other-files.js';
import { caught, rejection } from '../support/temporary.js';

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

describe('models that are something else', () => {
  const empty = { bytes: new Uint8Array(0), kind: 'this file is empty', remedy: /download or export/ };
  for (const [what, { bytes, kind, remedy }] of Object.entries({ ...OTHER_FILES, 'an empty file': empty })) {
    it(`Model.decode, convertModel and createSession say what to do with ${what}`, async () => {
      const errors = [
        caught(() => Model.decode(bytes, 'a.onnx')),
        caught(() => convertModel(bytes, { where: 'a.onnx' })),
        await rejection(createSession(bytes)),
      ];
      for (const error of errors) {
        expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_INVALID');
        expect((error as Error).message)
          .to.include(kind)
          .and.match(remedy)
          .and.not.match(/wire type|byte \d+/);
      }
    });
  }

  it("Model.decode and convertModel ask for the ONNX model that ONNX Runtime's own format was made from", () => {
    const bytes = latin1('\x24\0\0\0ORTM\0\0\0\0');
    for (const read of [() => Model.decode(bytes, 'a.ort'), () => convertModel(bytes, { where: 'a.ort' })]) {
      expect(read).to.throw(ModelError, /a\.ort: .*\(\.ort\): give the \.onnx model that it was made from/);
    }
  });

  it('Model.decode keeps its own message for other bytes', () => {
    expect(() => Model.decode(latin1('\0hello'), 'a.onnx')).to.throw(
      ModelError,
      /a\.onnx: this is not an ONNX model, or/,
    );
  });
});
