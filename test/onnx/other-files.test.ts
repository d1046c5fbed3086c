import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { encodeNpy, encodeSafetensors, tensor } from '../../lib/index.js';
import { Model } from '../../lib/onnx/model.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import { createSession } from '../../lib/runtime/node.js';
import { caught, rejection } from '../support/temporary.js';

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const zip = (name: string): Uint8Array => latin1(`PK\x03\x04${'\x2d'.padEnd(26, '\0')}${name}\x01\0\x10`);
const VECTOR = tensor('float32', [1], Float32Array.of(1));

const FILES: Readonly<Record<string, readonly [bytes: Uint8Array, words: RegExp]>> = {
  'a Git LFS pointer': [
    latin1('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n'),
    /git lfs pull/,
  ],
  'a page of HTML': [latin1('\n<!DOCTYPE html>\n<html><body>404</body></html>'), /\/resolve\//],
  'HTML behind a byte order mark': [latin1('\xef\xbb\xbf<html lang="en">'), /a page of HTML/],
  'an error as XML': [latin1('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /XML text/],
  'an error as JSON': [latin1('{"error":"Repository not found"}'), /JSON text: download/],
  'a tensor as JSON': [latin1('[[-1.5, 2], [3, 4]]'), /JSON text: download/],
  'a model in the text format of protobuf': [
    latin1('ir_version: 8\ngraph {\n  name: "g"\n}\n'),
    /onnx\.save/,
  ],
  'a model in the text format of ONNX': [
    latin1('<\n  ir_version: 7,\n  opset_import: ["" : 10]\n>\nagraph'),
    /onnx\.save/,
  ],
  'a gzip archive': [new Uint8Array(gzipSync('model')), /gunzip/],
  'a zip archive': [zip('model.onnx'), /unpack it/],
  'a torch.save file': [zip('archive/data.pkl'), /torch\.onnx\.export/],
  'a torch.save file before PyTorch 1.6': [latin1('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j'), /torch\.onnx\.export/],
  'a safetensors file': [Buffer.concat(encodeSafetensors({ tensors: [['w', VECTOR]] })), /safetensors file/],
  'a .npy file': [encodeNpy(VECTOR), /a \.npy file/],
  'an empty file': [new Uint8Array(0), /this file is empty/],
  'a TensorFlow Lite model': [latin1('\x1c\0\0\0TFL3\x14\0'), /tf2onnx/],
};

describe('models that are something else', () => {
  for (const [what, [bytes, words]] of Object.entries(FILES)) {
    it(`Model.decode, convertModel and createSession say what to do with ${what}`, async () => {
      const errors = [
        caught(() => Model.decode(bytes, 'a.onnx')),
        caught(() => convertModel(bytes, { where: 'a.onnx' })),
        await rejection(createSession(bytes)),
      ];
      for (const error of errors) {
        expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_INVALID');
        expect((error as Error).message)
          .to.match(words)
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
    expect(() => Model.decode(latin1('hello'), 'a.onnx')).to.throw(
      ModelError,
      /a\.onnx: this is not an ONNX model, or/,
    );
  });
});
