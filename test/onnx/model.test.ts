import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { Model } from '../../lib/onnx/model.js';
import { isGroupNorm, lowerNormalizations } from '../../lib/rewrite/norms/group-normalization.js';
import { createSession } from '../../lib/runtime/node.js';
import { tensor } from '../../lib/tensor.js';
import { all, int, message, model as graphOf, text } from './bytes.js';

function sample(): Uint8Array {
  const g = new GraphBuilder('sample');
  const weight = g.parameter('weight', { dtype: 'float32', shape: [4] });
  const x = g.input('x', 'float32', ['N', 4]);
  const hidden = op.mul(g, x, weight);
  g.output('y', op.relu(g, hidden));
  g.output('h', hidden);
  return encodeModel(g.build(), new Map([['weight', tensor('float32', [4], Float32Array.of(1, -1, 2, -2))]]));
}

describe('Model', () => {
  it('Model has the opset, nodes, inputs, outputs, types and constants', () => {
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
    expect([...model.externalFiles]).to.deep.equal([]);
  });

  it('Model lists the inputs and outputs that are not tensors', () => {
    const value = (field: number, name: string, type: number) =>
      message(field, text(1, name), message(2, message(type)));
    const bytes = graphOf(value(11, 'x', 1), value(11, 'list', 4), value(12, 'maybe', 9), value(13, 'h', 4));
    expect([...Model.decode(bytes).notTensors()]).to.deep.equal([
      ['list', 'a sequence'],
      ['maybe', 'an optional value'],
    ]);
  });

  it('Model.encode returns the same bytes for an unchanged model', () => {
    expect(Model.decode(sample()).encode()).to.deep.equal(sample());
  });

  it('Model keeps fields of any version of ONNX when a node is replaced', () => {
    const bytes = readFileSync(new URL('../samples/local-function.onnx', import.meta.url));
    const model = Model.decode(bytes);
    expect(model.nodes.map(({ opType, domain }) => [opType, domain])).to.deep.equal([
      ['GroupNormalization', ''],
      ['Scale', 'test.functions'],
    ]);
    expect(model.nestedOpTypes()).to.deep.equal(new Set(['Constant', 'Mul']));
    expect(model.nodes.map((node) => model.isFunctionCall(node))).to.deep.equal([false, true]);
    expect(lowerNormalizations(model, 'reduce-mean', isGroupNorm).replaced).to.equal(1);
    const changed = Buffer.from(model.encode());
    // In the sample the graph takes bytes 5 to 353, and the node that was replaced is the first thing in it, to byte 98.
    const [restOfGraph, functionsAndMore] = [bytes.subarray(98, 353), bytes.subarray(353)];
    expect(restOfGraph.subarray(0, 8)).to.deep.equal(Buffer.from('\x0a\x3e\x0a\x01h\x12\x01y'));
    for (const part of ['test.functions', 'of a newer ONNX', 'two devices']) {
      expect(functionsAndMore.includes(part)).to.equal(true);
    }
    expect(changed.includes(restOfGraph)).to.equal(true);
    expect(changed.subarray(-functionsAndMore.length)).to.deep.equal(functionsAndMore);
    expect(changed.includes('that is rewritten')).to.equal(false);
  });

  it('Model does not pass the call of a local function to replaceNodes, whatever its name', () => {
    const opsets = [message(8, int(2, 21))];
    const graph = message(7, message(1, text(4, 'Relu')), message(1, text(4, 'Tanh')));
    const model = Model.decode(all(graph, ...opsets, message(25, text(1, 'Relu'))));
    const seen: string[] = [];
    model.replaceNodes(({ opType }) => void seen.push(opType));
    expect(seen).to.deep.equal(['Tanh']);
  });

  it('Model.names has the names in the bodies of control flow', () => {
    const body = message(6, message(1, text(2, 'inside'), text(3, 'node')), message(13, text(1, 'typed')));
    const sparse = message(15, message(1, text(8, 'sparse')));
    const model = Model.decode(
      graphOf(message(1, text(2, 'y'), message(5, body)), sparse, message(12, text(1, 'y'))),
    );
    expect(model.names()).to.deep.equal(new Set(['y', 'inside', 'node', 'typed', 'sparse']));
  });

  it('Model takes the last of two initializers of one name, as the runtime does', () => {
    const weight = (value: number) => message(5, int(1, 1), int(2, 2), text(8, 'w'), message(9, [value]));
    const model = Model.decode(graphOf(weight(1), weight(2)));
    expect([...model.constant('w')!.data]).to.deep.equal([2]);
  });

  it('a model runs with other dtypes after castInputs and castOutputs', async () => {
    const model = Model.decode(sample());
    model.castInputs(['x'], 'float64');
    model.castOutputs(['h'], 'float16');
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

  it('Model removes weights and declared types, except those of inputs', () => {
    const weight = (name: string) =>
      message(5, int(1, 1), int(2, 1), text(8, name), message(9, [0, 0, 0, 0]));
    const kept = [weight('a'), message(11, text(1, 'c')), weight('c'), message(12, text(1, 'b'))];
    const model = Model.decode(graphOf(weight('b'), ...kept, message(13, text(1, 'b'))));
    model.removeDeclared((name) => name !== 'a');
    expect(model.encode()).to.deep.equal(graphOf(...kept));
  });

  it('Model renames values, except inputs and outputs', () => {
    const graph = (h: string, w: string, z: string) =>
      graphOf(
        message(1, text(1, 'x'), text(1, w), text(2, h)),
        message(1, text(1, h), text(2, 'y'), message(5, message(6, message(1, text(1, h), text(2, z))))),
        message(5, int(1, 1), int(2, 1), text(8, w), message(9, [0, 0, 0, 0])),
        message(11, text(1, 'x')),
        message(12, text(1, 'y')),
        message(13, text(1, h)),
      );
    const model = Model.decode(graph('h', 'w', 'z'));
    model.renameValues(new Map(['h', 'w', 'x', 'y'].map((name) => [name, `new_${name}`])));
    expect(model.encode()).to.deep.equal(graph('new_h', 'new_w', 'z'));
  });

  it('Model distinguishes a dimension of size 0 from an unknown one', () => {
    const g = new GraphBuilder('empty');
    g.output('y', op.relu(g, g.input('x', 'float32', [0, 3])));
    expect(Model.decode(encodeModel(g.build(), new Map())).typeOf('x')!.shape).to.deep.equal([0, 3]);
  });

  it('Model.decode refuses bytes that are not a model, and a model without a graph or an opset', () => {
    const cases: [Uint8Array, string][] = [
      [new Uint8Array(0), 'this file is empty'],
      [Uint8Array.of(0x08, 0x0a), 'no graph'],
      [Uint8Array.of(0x08, 0x0a, 0x3a, 0x00), 'no opset'],
      [Uint8Array.of(0x3a, 0x7f, 0x00), 'damaged'],
      [new TextEncoder().encode('{"json": true}'), 'not an ONNX model'],
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
