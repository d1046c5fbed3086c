import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { sniff, type FileKind } from '../../lib/files/sniff.js';
import { encodeModel, encodeNpy, encodeSafetensors, GraphBuilder, op, tensor } from '../../lib/index.js';

const repository = (path: string): Uint8Array => readFileSync(new URL(`../../${path}`, import.meta.url));
const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');

function model(opset: number): Uint8Array {
  const g = new GraphBuilder('sample');
  g.output('y', op.relu(g, g.input('x', 'float32', [1])));
  return encodeModel(g.build(), new Map(), { opset });
}

/** A zip archive's first bytes: `numpy.savez` and `torch.save` differ in the name of the first entry. */
const zip = (name: string): Uint8Array => latin1(`PK\x03\x04${'\x2d'.padEnd(26, '\0')}${name}\x01\0\x10`);

describe('files/sniff', () => {
  const cases: [what: string, bytes: Uint8Array, kind: FileKind | undefined][] = [
    ['torch.save, a zip archive', zip('archive/data.pkl'), 'torch'],
    ['torch.save before 1.6, a pickle', latin1('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j'), 'torch'],
    ['numpy.savez', zip('arr_0.npy'), 'npz'],
    ['another zip archive', zip('word/document.xml'), 'zip'],
    ['numpy.save', encodeNpy(tensor('float32', [1], Float32Array.of(1))), 'npy'],
    ['an empty safetensors file', encodeSafetensors({ tensors: [] })[0]!, 'safetensors'],
    ["the demo's weights", repository('demo/unet-cells.safetensors'), 'safetensors'],
    ['a model of opset 13', model(13), 'onnx'],
    ['a model of opset 25', model(25), 'onnx'],
    ["the demo's image", repository('demo/cells.png'), 'png'],
    ['package.json', repository('package.json'), 'json'],
    ['an empty JSON object', latin1('{}'), 'json'],
    ['a Git LFS pointer', latin1('version https://git-lfs.github.com/spec/v1\noid sha256:0'), 'lfs'],
    ['llama.cpp', latin1('GGUF\x03\0\0\0'), 'gguf'],
    ['Keras', latin1('\x89HDF\r\n\x1a\n'), 'hdf5'],
    ['nothing', new Uint8Array(0), undefined],
    ['zeros', new Uint8Array(64), undefined],
    ['text', latin1('hello'), 'text'],
    ['text in UTF-8', Buffer.from('Grüße, 世界\n'), 'text'],
    ['text in UTF-16', Buffer.from('\ufeffhello', 'utf16le'), 'text'],
    ['text with a zero in it', latin1('hello\0'), undefined],
  ];
  for (const [what, bytes, kind] of cases) {
    it(`sniff takes ${what} for ${kind ?? 'an unknown format'}`, () => expect(sniff(bytes)).to.equal(kind));
  }
});
