import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readNode, type ModelNode } from '../../../lib/onnx/graph/node.js';
import { WireReader } from '../../../lib/onnx/protobuf/wire.js';
import { tensor } from '../../../lib/tensor.js';
import { all, int, message, text } from '../bytes.js';

function node(...fields: readonly (readonly number[])[]): ModelNode {
  const reader = WireReader.of(all(message(1, ...fields)));
  reader.next();
  return readNode(reader);
}

const attribute = (name: string, type: number, ...value: readonly (readonly number[])[]) =>
  message(5, text(1, name), ...value, int(20, type));

describe('readNode', () => {
  it('readNode reads fields in any order, with unknown and newer fields among them', () => {
    const read = node(
      message(9, text(1, 'key'), text(2, 'metadata')),
      text(2, 'y'),
      text(4, 'Relu'),
      text(1, 'x'),
      text(8, 'overload'),
      text(1, ''),
      int(77, 5),
      text(7, 'custom'),
      text(3, 'n'),
    );
    const { name, opType, domain, inputs, outputs } = read;
    expect({ name, opType, domain, inputs, outputs }).to.deep.equal({
      name: 'n',
      opType: 'Relu',
      domain: 'custom',
      inputs: ['x', ''],
      outputs: ['y'],
    });
  });

  it('readNode takes an empty name for an absent one, the last of several, and one name for the default domain', () => {
    expect(node().opType).to.equal('');
    expect(node(text(4, 'Relu'), text(4, 'Tanh')).opType).to.equal('Tanh');
    expect(node(text(7, 'ai.onnx')).domain).to.equal('');
  });

  it('readNode ignores a field of another wire type', () => {
    expect(node(int(4, 65), text(4, 'Relu')).opType).to.equal('Relu');
  });

  it('readNode returns attributes that are numbers', () => {
    const half = [0x15, 0, 0, 0, 0x3f];
    const read = node(
      attribute('groups', 2, int(3, 32)),
      attribute('axis', 2, int(3, -1)),
      attribute('alpha', 1, half),
      attribute('absent', 2),
      attribute('text', 3, text(4, 'b')),
      attribute('untyped', 0, int(3, 1)),
    );
    const names = ['groups', 'axis', 'alpha', 'absent', 'text', 'untyped', 'none'];
    expect(names.map((name) => read.number(name))).to.deep.equal([
      32,
      -1,
      0.5,
      0,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('readNode returns attributes that are lists of numbers, packed or not, texts and tensors', () => {
    const one = [0, 0, 0x80, 0x3f];
    const read = node(
      attribute('perm', 7, int(8, 0), int(8, -2), message(8, [3, 1])),
      attribute('scales', 6, message(7, one), [0x3d, ...one]),
      attribute('empty', 7),
      attribute('mode', 3, text(4, 'none')),
      attribute('value', 4, message(5, int(1, 1), int(2, 1), message(9, one))),
      attribute('typed', 4, message(5, int(1, 1), int(2, 1), message(4, one))),
      attribute('short', 4, message(5, int(1, 2), int(2, 1), message(9, one))),
      attribute('number', 2, int(3, 1)),
    );
    expect(['perm', 'scales', 'empty', 'number', 'none'].map((name) => read.numbers(name))).to.deep.equal([
      [0, -2, 3, 1],
      [1, 1],
      [],
      undefined,
      undefined,
    ]);
    expect(['mode', 'perm', 'none'].map((name) => read.text(name))).to.deep.equal([
      'none',
      undefined,
      undefined,
    ]);
    expect(read.tensor('value')).to.deep.equal(tensor('float32', [1], Float32Array.of(1)));
    expect(read.tensor('typed')).to.deep.equal(read.tensor('value'));
    for (const name of ['short', 'mode', 'none']) expect(read.tensor(name), name).to.equal(undefined);
  });
});
