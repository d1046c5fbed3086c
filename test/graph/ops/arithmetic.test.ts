import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { type DType, DTYPES, FLOAT_DTYPES, tensor } from '../../../lib/tensor.js';
import { itComputes, numbers, OPSETS, runGraph } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

const UNARY = {
  Relu: op.relu,
  Sigmoid: op.sigmoid,
  Sqrt: op.sqrt,
  Tanh: op.tanh,
  Exp: op.exp,
  Log: op.log,
  Sin: op.sin,
  Cos: op.cos,
} as const;
const BINARY = { Add: op.add, Sub: op.sub, Mul: op.mul, Div: op.div } as const;

for (const [opType, unary] of Object.entries({ ...UNARY, Silu: op.silu, Identity: op.identity })) {
  describeTable(opType.toLowerCase(), (g, [x]) => unary(g, x!));
}
for (const [opType, binary] of Object.entries(BINARY)) {
  describeTable(opType.toLowerCase(), (g, [a, b]) => binary(g, a!, b!));
}
describeTable<op.ClipOptions>('clip', (g, [x], options) => op.clip(g, x!, options));
describeTable<{ to: DType }>('cast', (g, [x], { to }) => op.cast(g, x!, to));

for (const [opType, unary] of Object.entries(UNARY)) {
  describe(opType, () => {
    it(`${opType} keeps dtype and shape of every float`, () => {
      for (const dtype of FLOAT_DTYPES) {
        const g = new GraphBuilder('test');
        const x = g.input('x', dtype, ['N', 3]);
        const y = unary(g, x);
        expect(y).to.deep.include({ dtype, shape: ['N', 3] });
        expect(nodesOf(g, y)[0]).to.deep.include({ opType, inputs: [x], attributes: {} });
      }
    });

    it(`${opType} refuses every other dtype, and an input that is not a value`, () => {
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
    it(`${opType} takes its operands in order`, () => {
      const g = new GraphBuilder('test');
      const [a, b] = [g.input('a', 'float32', [2, 3]), g.input('b', 'float32', [3])];
      expect(nodesOf(g, binary(g, a, b))[0]).to.deep.include({ opType, inputs: [a, b], attributes: {} });
    });

    it(`${opType} names both operands that do not broadcast`, () => {
      const g = new GraphBuilder('test');
      const [a, b] = [g.input('a', 'float32', ['N', 4]), g.input('b', 'float32', ['N', 3])];
      expectGraphError(
        () => binary(g.scope('block'), a, b),
        'SHAPE_MISMATCH',
        `${opType} 'block': 'a' [N, 4] and 'b' [N, 3] do not broadcast`,
      );
    });

    it(`${opType} computes with integers but not with bool`, () => {
      const g = new GraphBuilder('test');
      const whole = g.input('whole', 'int64', [2]);
      const flags = g.input('flags', 'bool', [2]);
      expect(binary(g, whole, whole).dtype).to.equal('int64');
      expectGraphError(() => binary(g, flags, flags), 'INVALID_DTYPE', "'flags' [2] is bool");
    });

    it(`${opType} refuses mixed dtypes, and an input that is not a value`, () => {
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

describe('exp, log, sin and cos', () => {
  for (const [name, unary, formula] of [
    ['exp', op.exp, Math.exp],
    ['log', op.log, Math.log],
    ['sin', op.sin, Math.sin],
    ['cos', op.cos, Math.cos],
  ] as const) {
    itComputes(`${name} computes what Math.${name} does`, {
      inputs: [numbers([2, 50], 'x', 3)],
      call: (g, [x]) => unary(g, x!),
      expected: (x) => [[[2, 50], x.map(formula)]],
      declared: [['N', 'L']],
    });
  }
});

describe('clip', () => {
  const X = numbers([40], 'x', 2);
  for (const { min, max } of [{ min: -1 }, { max: 1.5 }, { min: 0, max: 6 }, { min: 1, max: 1 }] as {
    min?: number;
    max?: number;
  }[]) {
    itComputes(`clip keeps elements between ${min} and ${max}`, {
      inputs: [X],
      call: (g, [x]) =>
        op.clip(g, x!, { ...(min !== undefined && { min }), ...(max !== undefined && { max }) }),
      expected: (x) => [
        [[40], x.map((value) => Math.min(Math.max(value, min ?? -Infinity), max ?? Infinity))],
      ],
      declared: [['N']],
    });
  }

  it('clip takes integers', async () => {
    const g = new GraphBuilder('test');
    g.output('y', op.clip(g, g.input('x0', 'int64', [3]), { min: -1, max: 2 }));
    for (const opset of OPSETS) {
      const [y] = await runGraph(g.build(), [tensor('int64', [3], BigInt64Array.of(-5n, 0n, 5n))], opset);
      expect([...(y!.data as BigInt64Array)]).to.deep.equal([-1n, 0n, 2n]);
    }
  });

  it('clip refuses missing or invalid bounds, and a min above max', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N']);
    for (const options of [{}, { min: 2, max: 1 }]) {
      expectGraphError(() => op.clip(g, x, options), 'INVALID_ATTRIBUTE', 'Clip: give min, max or both');
    }
    for (const options of [{ min: NaN }, { max: '1' }, { min: 1e39 }] as never[]) {
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
  it("cast writes ONNX's number for the dtype", () => {
    const g = new GraphBuilder('test');
    const y = op.cast(g, g.input('x', 'int32', ['N']), 'bfloat16');
    expect(y).to.deep.include({ dtype: 'bfloat16', shape: ['N'] });
    expect(nodesOf(g, y)[0]!.attributes).to.deep.equal({ to: { type: 'INT', value: 16 } });
  });

  it('cast refuses a dtype that does not exist, and an input that is not a value', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [2]);
    for (const dtype of ['float8', 'toString', '']) {
      expectGraphError(() => op.cast(g, x, dtype as DType), 'INVALID_DTYPE', `'${dtype}'`);
    }
    expectGraphError(() => op.cast(g, undefined!, 'float32'), 'MISSING_VALUE', 'Cast');
    expectGraphError(() => op.identity(g, undefined!), 'MISSING_VALUE', 'Identity');
  });
});
