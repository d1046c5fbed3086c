import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { GraphBuilder, op } from '../../lib/graph/index.js';
import { encodeModel, Model } from '../../lib/onnx/index.js';
import { createSession } from '../../lib/runtime/index.js';
import { tensor } from '../../lib/tensor.js';

function sample(): Uint8Array {
  const g = new GraphBuilder('sample');
  const weight = g.parameter('weight', { dtype: 'float32', shape: [4] });
  const x = g.input('x', 'float32', ['N', 4]);
  const hidden = op.mul(g, x, weight);
  g.output('y', op.relu(g, hidden));
  g.output('h', hidden);
  return encodeModel(g.build(), new Map([['weight', tensor('float32', [4], Float32Array.of(1, -1, 2, -2))]]));
}

describe('a decoded model', () => {
  it('tells its opset, nodes, inputs, outputs, types and constants', () => {
    const model = Model.decode(sample());
    expect(model.opset).to.equal(21);
    expect(model.nodes.map(({ opType, inputs, outputs }) => [opType, inputs, outputs])).to.deep.equal([
      ['Mul', ['x', 'weight'], ['h']],
      ['Relu', ['h'], ['y']],
    ]);
    expect([model.inputNames, model.outputNames]).to.deep.equal([['x'], ['y', 'h']]);
    expect(model.typeOf('x')).to.deep.equal({ dtype: 'float32', shape: ['N', 4] });
    expect(model.typeOf('weight')).to.deep.equal({ dtype: 'float32', shape: [4] });
    expect(model.typeOf('nothing')).to.equal(undefined);
    expect([...model.constant('weight')!.data]).to.deep.equal([1, -1, 2, -2]);
    expect([...model.externalLocations()]).to.deep.equal([]);
  });

  it('is encoded as it was when nothing was changed', () => {
    expect(Model.decode(sample()).encode()).to.deep.equal(sample());
  });

  it('takes inputs and gives outputs in another dtype once they are cast', async () => {
    const model = Model.decode(sample());
    model.castInput('x', 'float64');
    model.castOutput('h', 'float16');
    const session = await createSession(model.encode());
    expect(session.inputs[0]).to.deep.equal({ name: 'x', dtype: 'float64', shape: ['N', 4] });
    const { y, h } = await session.run({ x: tensor('float64', [1, 4], Float64Array.of(1, 1, 1, 1)) });
    expect([...(y!.data as Float32Array)]).to.deep.equal([1, 0, 2, 0]);
    expect([h!.dtype, ...(h!.data as Uint16Array)]).to.deep.equal([
      'float16',
      0x3c00,
      0xbc00,
      0x4000,
      0xc000,
    ]);
    await session.dispose();
  });

  it('knows a dimension of size 0 from one of which nothing is known', () => {
    const g = new GraphBuilder('empty');
    g.output('y', op.relu(g, g.input('x', 'float32', [0, 3])));
    expect(Model.decode(encodeModel(g.build(), new Map())).typeOf('x')!.shape).to.deep.equal([0, 3]);
  });

  it('is refused when the bytes are no model, or a model without a graph or an opset', () => {
    const cases: [Uint8Array, string][] = [
      [new Uint8Array(0), 'no graph'],
      [Uint8Array.of(0x08, 0x0a), 'no graph'],
      [Uint8Array.of(0x08, 0x0a, 0x3a, 0x00), 'no opset'],
      [Uint8Array.of(0x3a, 0x7f, 0x00), 'damaged'],
      [new TextEncoder().encode('{"json": true}'), 'no ONNX model'],
      [sample().subarray(0, 60), 'damaged'],
    ];
    for (const [bytes, word] of cases) {
      expect(() => Model.decode(bytes, 'm.onnx'))
        .to.throw(ModelError, word)
        .with.property('code', 'MODEL_INVALID');
      expect(() => Model.decode(bytes, 'm.onnx')).to.throw(ModelError, 'm.onnx');
    }
  });
});
