import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Declarations } from '../../lib/onnx/graph-walk.js';
import { GraphFields } from '../../lib/onnx/splice.js';
import { all, int, message, text, valueInfo } from './bytes.js';

const [FLOAT, UINT8] = [1, 2];
const [INITIALIZER, INPUT, OUTPUT, VALUE_INFO] = [5, 11, 12, 13];
const tensor = (name: string, value: number) =>
  message(INITIALIZER, int(1, 1), int(2, UINT8), text(8, name), message(9, [value]));
const declarations = (...fields: (readonly number[])[]) => new Declarations(new GraphFields(all(...fields)));

describe('the declarations of a graph', () => {
  it('are those of intermediate values before outputs, inputs and initializers', () => {
    const said = declarations(
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

  it('give the data of initializers, of the last one where two have a name', () => {
    const said = declarations(
      tensor('a', 1),
      tensor('a', 2),
      message(INITIALIZER, int(2, 8), text(8, 'text')),
    );
    expect([...said.constant('a')!.data]).to.deep.equal([2]);
    expect([said.constant('text'), said.typeOf('text'), said.constant('b')]).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('can be given another dtype, wherever a value is declared', () => {
    const said = declarations(valueInfo(INPUT, 'a', FLOAT, 1), valueInfo(OUTPUT, 'a', FLOAT, 1));
    said.setDtype('a', 'float64');
    for (const list of [INPUT, OUTPUT]) expect(said.typeIn(list * 8 + 2, 'a')!.dtype).to.equal('float64');
  });
});
