import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type DType, DTYPES, FLOAT_DTYPES, tensor } from '../../../lib/tensor.js';
import { itComputes, listed, numbers, OPSETS, runGraph } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

const UNARY = { Relu: op.relu, Sigmoid: op.sigmoid, Sqrt: op.sqrt, Tanh: op.tanh } as const;
const BINARY = { Add: op.add, Sub: op.sub, Mul: op.mul, Div: op.div } as const;

for (const [opType, unary] of Object.entries({ ...UNARY, Silu: op.silu, Identity: op.identity })) {
  describeTable(opType.toLowerCase(), (g, [x]) => unary(g, x!));
}
for (const [opType, binary] of Object.entries(BINARY)) {
  describeTable(opType.toLowerCase(), (g, [a, b]) => binary(g, a!, b!));
}
describeTable<op.LeakyReluOptions>('leakyRelu', (g, [x], options) => op.leakyRelu(g, x!, options));
describeTable<op.ClipOptions>('clip', (g, [x], options) => op.clip(g, x!, options));
describeTable<{ to: DType }>('cast', (g, [x], { to }) => op.cast(g, x!, to));

for (const [opType, unary] of Object.entries(UNARY)) {
  describe(opType, () => {
    it('keeps dtype and shape of every float', () => {
      for (const dtype of FLOAT_DTYPES) {
        const g = new GraphBuilder('test');
        const x = g.input('x', dtype, ['N', 3]);
        const y = unary(g, x);
        expect(y).to.deep.include({ dtype, shape: ['N', 3] });
        expect(nodesOf(g, y)[0]).to.deep.include({ opType, inputs: [x], attributes: {} });
      }
    });

    it('refuses every other dtype, and what is not a value', () => {
      const g = new GraphBuilder('test');
      for (const dtype of DTYPES.filter((name) => !(FLOAT_DTYPES as readonly string[]).includes(name))) {
        expectGraphError(
          () => unary(g, g.input(dtype, dtype, [3])),
          'INVALID_DTYPE',
          `'${dtype}' [3]`,
          'float32',
        );
      }
      expectGraphError(() => unary(g, undefined!), 'MISSING_VALUE', `${opType}: x`);
      expectGraphError(() => unary(g, { dtype: 'float32', shape: [3] } as never), 'MISSING_VALUE', opType);
    });
  });
}

for (const [opType, binary] of Object.entries(BINARY)) {
  describe(opType, () => {
    it('takes its operands in order', () => {
      const g = new GraphBuilder('test');
      const [a, b] = [g.input('a', 'float32', [2, 3]), g.input('b', 'float32', [3])];
      expect(nodesOf(g, binary(g, a, b))[0]).to.deep.include({ opType, inputs: [a, b], attributes: {} });
    });

    it('names both operands that do not broadcast', () => {
      const g = new GraphBuilder('test');
      const [a, b] = [g.input('a', 'float32', ['N', 4]), g.input('b', 'float32', ['N', 3])];
      expectGraphError(
        () => binary(g.scope('block'), a, b),
        'SHAPE_MISMATCH',
        `${opType} 'block': 'a' [N, 4] and 'b' [N, 3] do not broadcast`,
      );
    });

    it('computes with integers but not with bool', () => {
      const g = new GraphBuilder('test');
      const whole = g.input('whole', 'int64', [2]);
      const flags = g.input('flags', 'bool', [2]);
      expect(binary(g, whole, whole).dtype).to.equal('int64');
      expectGraphError(() => binary(g, flags, flags), 'INVALID_DTYPE', "'flags' [2] is bool");
    });

    it('refuses mixed dtypes, and what is not a value', () => {
      const g = new GraphBuilder('test');
      const [a, b] = [g.input('a', 'float32', [2]), g.input('b', 'float64', [2])];
      expectGraphError(
        () => binary(g, a, b),
        'DTYPE_MISMATCH',
        "'a' [2] is float32",
        "'b' [2] is float64",
        'cast',
      );
      expectGraphError(() => binary(g, a, undefined!), 'MISSING_VALUE', 'b is not a value');
    });
  });
}

describe('silu', () => {
  it('is x · sigmoid(x)', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N']);
    const [sigmoid, mul] = nodesOf(g, op.silu(g, x));
    expect(sigmoid).to.deep.include({ opType: 'Sigmoid', inputs: [x] });
    expect(mul).to.deep.include({ opType: 'Mul', inputs: [x, sigmoid!.outputs[0]] });
  });

  it('is x / (1 + exp(−x)) in float64, which ONNX Runtime runs at every level of optimisation', async () => {
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

  it('refuses what is not a value and no float', () => {
    const g = new GraphBuilder('test');
    expectGraphError(() => op.silu(g, undefined!), 'MISSING_VALUE');
    expectGraphError(() => op.silu(g, g.input('x', 'int64', ['N'])), 'INVALID_DTYPE', 'int64');
  });
});

describe('tanh', () => {
  itComputes('is tanh', {
    inputs: [numbers([2, 50], 'x', 3)],
    call: (g, [x]) => op.tanh(g, x!),
    expected: (x) => [[[2, 50], x.map(Math.tanh)]],
    declared: [['N', 'L']],
  });
});

describe('leakyRelu', () => {
  const X = [-Infinity, -3, -0.5, 0, 2 ** -10, 1, 30, Infinity, NaN];
  for (const alpha of [0.01, 0.25, -0.5, 0, 2]) {
    itComputes(`is x above 0 and ${alpha} · x below`, {
      inputs: [listed([X.length], alpha === 0 ? X.slice(1).concat(-1) : X)],
      call: (g, [x]) => op.leakyRelu(g, x!, { alpha }),
      expected: (x) => [[[X.length], x.map((value) => (value < 0 ? alpha * value : value))]],
      declared: [['N']],
    });
  }

  it("has PyTorch's slope where none is given", () => {
    const g = new GraphBuilder('test');
    const [node] = nodesOf(g, op.leakyRelu(g, g.input('x', 'float32', ['N'])));
    expect(node).to.deep.include({
      opType: 'LeakyRelu',
      attributes: { alpha: { type: 'FLOAT', value: 0.01 } },
    });
  });

  it('refuses slopes that are not finite, integers and what is not a value', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float64', ['N']);
    for (const alpha of [NaN, Infinity, '1'] as never[]) {
      expectGraphError(() => op.leakyRelu(g, x, { alpha }), 'INVALID_ATTRIBUTE', 'LeakyRelu: alpha');
    }
    expectGraphError(() => op.leakyRelu(g, g.input('i', 'int32', ['N'])), 'INVALID_DTYPE', 'int32');
    expectGraphError(() => op.leakyRelu(g, undefined!), 'MISSING_VALUE', 'LeakyRelu: x');
  });
});

describe('clip', () => {
  const X = numbers([40], 'x', 2);
  for (const { min, max } of [{ min: -1 }, { max: 1.5 }, { min: 0, max: 6 }, { min: 1, max: 1 }] as {
    min?: number;
    max?: number;
  }[]) {
    itComputes(`keeps within ${min} and ${max}`, {
      inputs: [X],
      call: (g, [x]) =>
        op.clip(g, x!, { ...(min !== undefined && { min }), ...(max !== undefined && { max }) }),
      expected: (x) => [
        [[40], x.map((value) => Math.min(Math.max(value, min ?? -Infinity), max ?? Infinity))],
      ],
      declared: [['N']],
    });
  }

  it('clips integers', async () => {
    const g = new GraphBuilder('test');
    g.output('y', op.clip(g, g.input('x0', 'int64', [3]), { min: -1, max: 2 }));
    for (const opset of OPSETS) {
      const [y] = await runGraph(g.build(), [tensor('int64', [3], BigInt64Array.of(-5n, 0n, 5n))], opset);
      expect([...(y!.data as BigInt64Array)]).to.deep.equal([-1n, 0n, 2n]);
    }
  });

  it('refuses bounds that are none, or leave nothing between them', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N']);
    for (const options of [{}, { min: 2, max: 1 }, { min: NaN }, { max: '1' }, { min: 1e39 }] as never[]) {
      expectGraphError(() => op.clip(g, x, options), 'INVALID_ATTRIBUTE', 'Clip: m');
    }
    expectGraphError(
      () => op.clip(g, g.input('i', 'int32', ['N']), { min: 0.5 }),
      'INVALID_ATTRIBUTE',
      'min 0.5 must be a number that int32 can hold',
    );
    expectGraphError(() => op.clip(g, g.input('f', 'bool', ['N']), { min: 0 }), 'INVALID_DTYPE', 'bool');
    expectGraphError(() => op.clip(g, undefined!, { min: 0 }), 'MISSING_VALUE', 'Clip: x');
  });
});

describe('cast', () => {
  it("writes ONNX's number for the dtype", () => {
    const g = new GraphBuilder('test');
    const y = op.cast(g, g.input('x', 'int32', ['N']), 'bfloat16');
    expect(y).to.deep.include({ dtype: 'bfloat16', shape: ['N'] });
    expect(nodesOf(g, y)[0]!.attributes).to.deep.equal({ to: { type: 'INT', value: 16 } });
  });

  it('refuses a dtype that does not exist, and what is not a value', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [2]);
    for (const dtype of ['float8', 'toString', '']) {
      expectGraphError(() => op.cast(g, x, dtype as DType), 'INVALID_DTYPE', `'${dtype}'`);
    }
    expectGraphError(() => op.cast(g, undefined!, 'float32'), 'MISSING_VALUE', 'Cast');
    expectGraphError(() => op.identity(g, undefined!), 'MISSING_VALUE', 'Identity');
  });
});
