import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphFields } from '../../../lib/onnx/graph/graph.js';
import { GraphIndex } from '../../../lib/onnx/graph/graph-index.js';
import { WireReader } from '../../../lib/onnx/protobuf/wire.js';
import { all, int, message, text, valueInfo } from '../bytes.js';

const [FLOAT, UINT8] = [1, 2];
const [INITIALIZER, INPUT, OUTPUT, VALUE_INFO] = [5, 11, 12, 13];
const tensor = (name: string, value: number) =>
  message(INITIALIZER, int(1, 1), int(2, UINT8), text(8, name), message(9, [value]));
const index = (...fields: (readonly number[])[]) =>
  new GraphIndex(new GraphFields(WireReader.of(all(...fields)), 'model'));
const node = (inputs: string[], outputs: string[]) =>
  message(1, ...inputs.map((name) => text(1, name)), ...outputs.map((name) => text(2, name)));

describe('GraphIndex', () => {
  it('GraphIndex prefers the types of intermediate values to those of outputs, inputs and initializers', () => {
    const said = index(
      valueInfo(VALUE_INFO, 'a', FLOAT, 4),
      valueInfo(OUTPUT, 'a', FLOAT, 3),
      valueInfo(OUTPUT, 'b', FLOAT, 3),
      valueInfo(INPUT, 'b', FLOAT, 2),
      valueInfo(INPUT, 'c', FLOAT, 2),
      ...['b', 'c', 'd'].map((name) => tensor(name, 7)),
    );
    expect(['a', 'b', 'c', 'd'].map((name) => said.typeOf(name)!.shape)).to.deep.equal([[4], [3], [2], [1]]);
    expect(said.typeOf('e')).to.equal(undefined);
    expect(said.typeIn(INPUT * 8 + 2, 'b')).to.deep.equal({ dtype: 'float32', shape: [2] });
    expect(said.typeIn(INPUT * 8 + 2, 'a')).to.equal(undefined);
  });

  it('GraphIndex returns the data of initializers, of the last one if two have one name', () => {
    const said = index(tensor('a', 1), tensor('a', 2), message(INITIALIZER, int(2, 8), text(8, 'text')));
    expect([...said.constant('a')!.data]).to.deep.equal([2]);
    expect([said.constant('text'), said.typeOf('text'), said.constant('b')]).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('GraphIndex tells inputs from initializers, and keeps the order of the boundary', () => {
    const said = index(
      tensor('w', 1),
      valueInfo(INPUT, 'x', FLOAT, 1),
      valueInfo(OUTPUT, 'y', FLOAT, 1),
      valueInfo(INPUT, 'w', UINT8, 1),
    );
    expect([said.inputNames, said.outputNames]).to.deep.equal([['x'], ['y']]);
    expect(said.boundary.map(({ name }) => name)).to.deep.equal(['x', 'y', 'w']);
    expect([...said.declaredInputs]).to.deep.equal(['x', 'w']);
  });

  it('GraphIndex finds the producer and the readers of a value', () => {
    const said = index(
      node(['x'], ['h', 'unread']),
      node(['h', 'h'], ['i']),
      node(['h', 'i'], ['y']),
      valueInfo(OUTPUT, 'y', FLOAT, 1),
      valueInfo(OUTPUT, 'i', FLOAT, 1),
    );
    const [first, second, third] = said.nodes;
    expect(['x', 'h', 'i'].map((name) => said.producer(name))).to.deep.equal([undefined, first, second]);
    expect(said.onlyReaders('h')).to.deep.equal([second, third]);
    expect([said.onlyReaders('i'), said.onlyReaders('unread')]).to.deep.equal([[], []]);
    expect(['h', 'i', 'y', 'unread'].map((name) => said.isRead(name))).to.deep.equal([
      true,
      true,
      true,
      false,
    ]);
  });
});
