/** Files that people give in place of a model or of weights, small and made by hand. */
import { gzipSync } from 'node:zlib';
import { encodeNpy, encodeSafetensors, tensor } from '../../lib/index.js';

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const zip = (name: string): Uint8Array => latin1(`PK\x03\x04${'\x2d'.padEnd(26, '\0')}${name}\x01\0\x10`);
const VECTOR = tensor('float32', [1], Float32Array.of(1));

/** A file, and what a message about it must say. */
export interface OtherFile {
  readonly bytes: Uint8Array;
  /** What the file is. */
  readonly kind: string;
  /** What to do where a model is expected. */
  readonly remedy: RegExp;
}

const GIVE = /: give the \.onnx file/;

export const OTHER_FILES: Readonly<Record<string, OtherFile>> = {
  'a Git LFS pointer': {
    bytes: latin1('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n'),
    kind: 'it is a Git LFS pointer',
    remedy: /git lfs pull/,
  },
  'a page of HTML': {
    bytes: latin1('\n<!DOCTYPE html>\n<html><body>404</body></html>'),
    kind: 'it is a page of HTML',
    remedy: /\/resolve\//,
  },
  'HTML behind a byte order mark': {
    bytes: latin1('\xef\xbb\xbf<html lang="en">'),
    kind: 'it is a page of HTML',
    remedy: GIVE,
  },
  'an error as XML': {
    bytes: latin1('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
    kind: 'it is XML text',
    remedy: GIVE,
  },
  'an error as JSON': {
    bytes: latin1('{"error":"Repository not found"}'),
    kind: 'it is JSON text',
    remedy: GIVE,
  },
  'a tensor as JSON': { bytes: latin1('[[-1.5, 2], [3, 4]]'), kind: 'it is JSON text', remedy: GIVE },
  'plain text': { bytes: latin1('Hello!\r\nA readme.\n'), kind: 'it is plain text', remedy: GIVE },
  'text of a Windows shell': {
    bytes: new Uint8Array(Buffer.from('\ufeffHello', 'utf16le')),
    kind: 'it is plain text',
    remedy: GIVE,
  },
  'a model in the text format of protobuf': {
    bytes: latin1('ir_version: 8\ngraph {\n  name: "g"\n}\n'),
    kind: 'it is an ONNX model as text',
    remedy: /onnx\.save/,
  },
  'a model in the text format of ONNX': {
    bytes: latin1('<\n  ir_version: 7,\n  opset_import: ["" : 10]\n>\nagraph'),
    kind: 'it is an ONNX model as text',
    remedy: /onnx\.save/,
  },
  'a gzip archive': {
    bytes: new Uint8Array(gzipSync('model')),
    kind: 'it is a gzip archive',
    remedy: /gunzip/,
  },
  'a zip archive': { bytes: zip('model.onnx'), kind: 'it is a zip archive', remedy: /unpack it/ },
  'a torch.save file': {
    bytes: zip('archive/data.pkl'),
    kind: 'it is a torch.save file',
    remedy: /torch\.onnx\.export/,
  },
  'a torch.save file before PyTorch 1.6': {
    bytes: latin1('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j'),
    kind: 'it is a torch.save file',
    remedy: /torch\.onnx\.export/,
  },
  'a safetensors file': {
    bytes: new Uint8Array(Buffer.concat(encodeSafetensors({ tensors: [['w', VECTOR]] }))),
    kind: 'it is a safetensors file',
    remedy: /build the network with these weights/,
  },
  'a .npy file': { bytes: encodeNpy(VECTOR), kind: 'it is a .npy file', remedy: /torch\.onnx\.export/ },
  'a TensorFlow Lite model': {
    bytes: latin1('\x1c\0\0\0TFL3\x14\0'),
    kind: 'it is a TensorFlow Lite model',
    remedy: /tf2onnx/,
  },
};
