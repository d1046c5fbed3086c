import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import { itComputes, listed, numbers } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.LeakyReluOptions>('leakyRelu', (g, [x], options) => op.leakyRelu(g, x!, options));
describeTable<object>('mish', (g, [x]) => op.mish(g, x!));

describe('silu', () => {
  it('silu is x · sigmoid(x)', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N']);
    const [sigmoid, mul] = nodesOf(g, op.silu(g, x));
    expect(sigmoid).to.deep.include({ opType: 'Sigmoid', inputs: [x] });
    expect(mul).to.deep.include({ opType: 'Mul', inputs: [x, sigmoid!.outputs[0]] });
  });

  it('silu is x / (1 + exp(−x)) in float64, and ONNX Runtime runs it at every level of optimisation', async () => {
    const values = [0, 1e-300, 1, -1, 20, -20, -40, -700, 700, -1e308, 1e308, Infinity, NaN];
    const g = new GraphBuilder('test');
    g.output('y', op.silu(g, g.input('x', 'float64', ['N'])));
    const model = encodeModel(g.build(), new Map(), { opset: 13 });
    for (const graphOptimizationLevel of ['disabled', 'basic', 'extended', 'all'] as const) {
      const session = await createSession(model, { graphOptimizationLevel });
      const { y } = await session.run({ x: tensor('float64', [values.length], Float64Array.from(values)) });
      await session.dispose();
      values.forEach((value, i) => {
        const expected = value / (1 + Math.exp(-value));
        const actual = (y!.data as Float64Array)[i]!;
        // Three roundings and that of the exponential: 4 units in the last place.
        const error = Object.is(actual, expected) ? 0 : Math.abs(actual - expected);
        expect(error, `silu(${value}) = ${actual}`).to.be.at.most(
          4 * Number.EPSILON * Math.abs(expected) || 0,
        );
      });
    }
  });

  it('silu refuses an input that is not a value or not a float', () => {
    const g = new GraphBuilder('test');
    expectGraphError(() => op.silu(g, undefined!), 'MISSING_VALUE');
    expectGraphError(() => op.silu(g, g.input('x', 'int64', ['N'])), 'INVALID_DTYPE', 'int64');
  });
});

describe('tanh', () => {
  itComputes('tanh computes the hyperbolic tangent', {
    inputs: [numbers([2, 50], 'x', 3)],
    call: (g, [x]) => op.tanh(g, x!),
    expected: (x) => [[[2, 50], x.map(Math.tanh)]],
    declared: [['N', 'L']],
  });
});

describe('mish', () => {
  itComputes('mish is x · tanh(ln(1 + exp(x)))', {
    inputs: [numbers([2, 50], 'x', 5)],
    call: (g, [x]) => op.mish(g, x!),
    dtypes: ['float32', 'float16'],
    expected: (x) => [[[2, 50], x.map((value) => value * Math.tanh(Math.log1p(Math.exp(value))))]],
    declared: [['N', 'L']],
  });
});

describe('leakyRelu', () => {
  const X = [-Infinity, -3, -0.5, 0, 2 ** -10, 1, 30, Infinity, NaN];
  for (const alpha of [0.01, 0.25, -0.5, 0, 2]) {
    itComputes(`leakyRelu is x above 0 and ${alpha} · x below`, {
      inputs: [listed([X.length], alpha === 0 ? X.slice(1).concat(-1) : X)],
      call: (g, [x]) => op.leakyRelu(g, x!, { alpha }),
      expected: (x) => [[[X.length], x.map((value) => (value < 0 ? alpha * value : value))]],
      declared: [['N']],
    });
  }

  it("leakyRelu has PyTorch's slope by default", () => {
    const g = new GraphBuilder('test');
    const [node] = nodesOf(g, op.leakyRelu(g, g.input('x', 'float32', ['N'])));
    expect(node).to.deep.include({
      opType: 'LeakyRelu',
      attributes: { alpha: { type: 'FLOAT', value: 0.01 } },
    });
  });

  it('leakyRelu refuses slopes that are not finite, integers, and an input that is not a value', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float64', ['N']);
    for (const alpha of [NaN, Infinity, '1'] as never[]) {
      expectGraphError(() => op.leakyRelu(g, x, { alpha }), 'INVALID_ATTRIBUTE', 'LeakyRelu: alpha');
    }
    expectGraphError(() => op.leakyRelu(g, g.input('i', 'int32', ['N'])), 'INVALID_DTYPE', 'int32');
    expectGraphError(() => op.leakyRelu(g, undefined!), 'MISSING_VALUE', 'LeakyRelu: x');
  });
});
