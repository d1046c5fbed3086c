import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder, type Scope } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { int, ints } from '../../../lib/graph/attr.js';
import type { Attributes, Value } from '../../../lib/graph/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { ValueTypes } from '../../../lib/rewrite/analysis/value-types.js';
import { int64Vector, type Shape, tensor, UNKNOWN_DIM } from '../../../lib/tensor.js';

const sample = readFileSync(new URL('../../samples/value-types.onnx', import.meta.url));

/** Values with a size that stays unknown here, though ONNX infers it. */
const SIZES_UNKNOWN = ['conv_same', 'pool_ceil'];

/** The same model without declared types, except those of its inputs and outputs. */
function undeclared(): Model {
  const message = ModelProto.decode(sample);
  message.graph!.valueInfo = [];
  return Model.decode(ModelProto.encode(message).finish());
}

describe('the types of values that a model does not declare', () => {
  const declared = Model.decode(sample);
  const types = new ValueTypes(undeclared());
  for (const name of declared.nodes.flatMap(({ outputs }) => outputs)) {
    const expected = declared.typeOf(name)!;
    // ONNX infers no type for these.
    if (['dyns', 'dynz', 'greater'].includes(name)) continue;
    it(`ValueTypes infers the type of '${name}' as ONNX does`, () => {
      const { dtype, shape } = types.typeOf(name);
      expect(dtype).to.equal(expected.dtype);
      if (SIZES_UNKNOWN.includes(name)) {
        expect(shape).to.have.lengthOf(expected.shape.length).and.include(UNKNOWN_DIM);
        shape!.forEach((dim, axis) => expect([UNKNOWN_DIM, expected.shape[axis]]).to.include(dim));
      } else {
        expect(shape).to.deep.equal(expected.shape);
      }
    });
  }

  it("ValueTypes does not infer types for an operator that is one of the model's functions", () => {
    const model = undeclared();
    model.isFunctionCall = ({ opType }) => opType === 'Conv';
    expect(new ValueTypes(model).typeOf('conv')).to.deep.equal({ dtype: undefined, shape: undefined });
  });
});

/** Returns the types in a model of these nodes on `x`; `stale` gives the shapes that the model declares for results. */
function inferred(
  shape: Shape,
  build: (g: GraphBuilder, x: Value) => Record<string, Value>,
  stale: Record<string, readonly number[]> = {},
): (name: string) => ReturnType<ValueTypes['typeOf']> {
  const g = new GraphBuilder('types');
  const results = build(g, g.input('x', 'float32', shape));
  const names = Object.fromEntries(Object.entries(results).map(([name, value]) => [name, value.name]));
  g.output('y', op.identity(g, Object.values(results)[0]!));
  const message = ModelProto.decode(encodeModel(g.build(), new Map()));
  message.graph!.valueInfo = message.graph!.valueInfo!.filter(({ name }) => {
    const declared = Object.entries(names).find(([, one]) => one === name)?.[0] ?? '';
    return Object.hasOwn(stale, declared);
  });
  for (const info of message.graph!.valueInfo) {
    const dims = stale[Object.entries(names).find(([, one]) => one === info.name)![0]]!;
    info.type!.tensorType!.shape!.dim = dims.map((size) => ({ dimValue: size }));
  }
  const types = new ValueTypes(Model.decode(ModelProto.encode(message).finish()));
  return (name) => types.typeOf(names[name]);
}

describe('a type that does not follow for certain', () => {
  const node = (g: GraphBuilder, opType: string, inputs: Value[], attributes = {}) =>
    g.node(opType, inputs, attributes, [{ dtype: 'float32', shape: ['?'] }])[0]!;

  it('a window larger than its input has an unknown size, because runtimes do not agree', () => {
    const attributes = { kernel_shape: ints([2, 1]), strides: ints([2, 1]) };
    const typeOf = inferred(['N', 8, 1, 10], (g, x) => ({ pool: node(g, 'MaxPool', [x], attributes) }));
    expect(typeOf('pool').shape).to.deep.equal(['N', 8, UNKNOWN_DIM, 10]);
  });

  it('Pow has the dtype of its base, and an unknown one with an unknown base', () => {
    const typeOf = inferred([2, 4], (g, x) => {
      const base = node(g, 'Unheard', [x]);
      return {
        unknown: node(g, 'Pow', [base, g.constant(int64Vector([2]))]),
        known: node(g, 'Pow', [x, base]),
      };
    });
    expect([typeOf('unknown').dtype, typeOf('known').dtype]).to.deep.equal([undefined, 'float32']);
  });

  it('LayerNormalization has an unknown dtype if its scale has another dtype', () => {
    const typeOf = inferred([2, 4], (g, x) => {
      const half = g.constant(tensor('float16', [4], new Uint16Array(4)));
      return { norm: node(g, 'LayerNormalization', [x, half]) };
    });
    expect(typeOf('norm')).to.deep.equal({ dtype: undefined, shape: [2, 4] });
  });

  it('a declared size is unknown if the inferred size contradicts it', () => {
    const build = (g: GraphBuilder, x: Value) => ({ relu: op.relu(g, x) });
    const declared = (shape: Shape) => inferred(shape, build, { relu: [1, 4, 64] })('relu').shape;
    expect(declared(['B', 4, 64])).to.deep.equal([UNKNOWN_DIM, 4, 64]);
    expect(declared([1, 8, 64])).to.deep.equal([1, UNKNOWN_DIM, 64]);
    expect(declared([1, 4, 64])).to.deep.equal([1, 4, 64]);
  });

  it('an expression that grows with each node becomes unknown', () => {
    const typeOf = inferred([1, 'N'], (g, x) => {
      let value = x;
      for (let step = 0; step < 40; step++) {
        const product = node(g, 'Gemm', [value, value], { transA: int(1) });
        value = node(g, 'Flatten', [product], { axis: int(0) });
      }
      return { last: value };
    });
    expect(typeOf('last').shape).to.deep.equal([1, UNKNOWN_DIM]);
  });

  it('sizes are known if they are joined from parts of shapes', () => {
    const typeOf = inferred(['N', 8, 'H', 6], (g, x) => {
      const part = (attributes: Attributes) => node(g, 'Shape', [x], attributes);
      const target = node(
        g,
        'Concat',
        [part({ start: int(0), end: int(1) }), g.constant(int64Vector([2, 4])), part({ start: int(-2) })],
        { axis: int(0) },
      );
      return { reshaped: node(g, 'Reshape', [x, target]) };
    });
    expect(typeOf('reshaped').shape).to.deep.equal(['N', 2, 4, 'H', 6]);
  });
});

describe('the sizes that a model computes at run time', () => {
  const vector = (g: Scope, opType: string, inputs: Value[], shape: Shape, attributes = {}) =>
    g.node(opType, inputs, attributes, [{ dtype: 'int64', shape }])[0]!;
  /** Returns the elements of the vectors that `build` makes out of the shape of x. */
  function sizes(build: (g: GraphBuilder, shape: Value) => Value[], inputs: readonly Shape[] = []) {
    const g = new GraphBuilder('sizes');
    const x = g.input('x', 'float32', ['N', 8, 'H', 6]);
    inputs.forEach((shape, index) => g.input(`x${index}`, 'float32', shape));
    const values = build(g, op.shape(g, x));
    values.forEach((value, index) => g.output(`y${index}`, value));
    const types = new ValueTypes(Model.decode(encodeModel(g.build(), new Map())));
    return values.map((_, index) => types.sizes(`y${index}`));
  }
  const ints64 = (g: Scope, ...values: number[]) => g.constant(int64Vector(values));

  it('ValueTypes computes Gather, Unsqueeze, Concat, Slice, ReduceProd and arithmetic', () => {
    const found = sizes((g, shape) => {
      const at = (index: number) => vector(g, 'Gather', [shape, ints64(g, index)], [1]);
      const product = vector(g, 'Mul', [at(2), at(3)], [1]);
      const scalar = vector(g, 'Squeeze', [product, ints64(g, 0)], []);
      return [
        at(-2),
        product,
        scalar,
        vector(
          g,
          'Concat',
          [at(0), ints64(g, 16), vector(g, 'Unsqueeze', [scalar, ints64(g, 0)], [1])],
          [3],
          {
            axis: int(0),
          },
        ),
        vector(g, 'Div', [at(1), ints64(g, 2)], [1]),
        vector(g, 'Sub', [vector(g, 'Add', [at(2), ints64(g, 3)], [1]), ints64(g, 1)], [1]),
        vector(g, 'ReduceProd', [vector(g, 'Slice', [shape, ints64(g, 1), ints64(g, 4)], [3])], [1]),
        vector(g, 'Cast', [vector(g, 'Identity', [at(0)], [1])], [1], { to: int(7) }),
      ];
    });
    expect(found).to.deep.equal([['H'], ['6*H'], ['6*H'], ['N', 16, '6*H'], [4], ['H+2'], ['48*H'], ['N']]);
  });

  it('ValueTypes does not divide what may be negative, nor by a name', () => {
    const found = sizes((g, shape) => {
      const [n, h] = [0, 2].map((index) => vector(g, 'Gather', [shape, ints64(g, index)], [1]));
      const less = vector(g, 'Sub', [h!, ints64(g, 3)], [1]);
      return [vector(g, 'Div', [less, ints64(g, 2)], [1]), vector(g, 'Div', [h!, n!], [1])];
    });
    expect(found).to.deep.equal([[UNKNOWN_DIM], [UNKNOWN_DIM]]);
  });

  it('ValueTypes.atRun gives equal names to sizes that are equal in every run, and to no others', () => {
    const g = new GraphBuilder('names');
    const [x, z] = ['x', 'x2'].map((name) => g.input(name, 'float32', ['N', 8, 'H']));
    const like = (value: Value) =>
      vector(g, 'Reshape', [g.input('w', 'float32', ['K']), op.shape(g, value)], x!.shape);
    const values = {
      relu: op.relu(g, x!),
      other: op.relu(g, z!),
      like: like(x!),
      cut: op.slice(g, x!, { starts: [1], ends: [3], axes: [2] }),
    };
    Object.entries(values).forEach(([name, value]) => g.output(name, op.identity(g, value)));
    const { atRun } = new ValueTypes(Model.decode(encodeModel(g.build(), new Map())));
    const [n, , h] = atRun.typeOf('x').shape!;
    expect(n).to.not.equal(h);
    expect(atRun.typeOf('relu').shape).to.deep.equal([n, 8, h]);
    expect(atRun.typeOf('like').shape).to.deep.equal([n, 8, h]);
    expect(atRun.typeOf('other').shape).to.not.include(n).and.not.include(h);
    expect(atRun.typeOf('cut').shape!.slice(0, 2)).to.deep.equal([n, 8]);
    expect(atRun.typeOf('cut').shape).to.not.include(h);
  });

  it('ValueTypes takes what it infers for the sizes that a model declares as unknown', () => {
    const message = ModelProto.decode(sample);
    const dims = message.graph!.valueInfo!.find(({ name }) => name === 'rows_of_x')!.type!.tensorType!.shape!
      .dim!;
    dims[2] = {};
    const model = Model.decode(ModelProto.encode(message).finish());
    expect(new ValueTypes(model).typeOf('rows_of_x').shape).to.deep.equal([2, 2, 192]);
  });
});

describe('the constants of a model', () => {
  const types = new ValueTypes(undeclared());

  it('ValueTypes knows initializers, and results of Constant in each of its forms', () => {
    const read = (name: string) => {
      const { dtype, dims, data } = types.constant(name)!;
      return [dtype, dims, [...data].map(Number)];
    };
    expect(['rows', 'floats', 'float', 'ints', 'int'].map(read)).to.deep.equal([
      ['int64', [3], [0, 2, -1]],
      ['float32', [2], [1, 2]],
      ['float32', [], [1]],
      ['int64', [3], [1, 2, 3]],
      ['int64', [], [1]],
    ]);
    expect(['x', 'conv', ''].map((name) => types.constant(name))).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('ValueTypes knows sizes from constants and from shapes, and not from other values', () => {
    expect(types.sizes('rows')).to.deep.equal([0, 2, -1]);
    expect(types.sizes('shape')).to.deep.equal([2, 4, 12, 8]);
    expect(types.sizes('flat')).to.equal(undefined);
  });
});
