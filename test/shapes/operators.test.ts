import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { GraphError } from '../../lib/errors.js';
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Graph, Value } from '../../lib/graph/types.js';
import { filledTensor } from '../../lib/half.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { Model } from '../../lib/onnx/model.js';
import { ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { ValueTypes } from '../../lib/rewrite/analysis/value-types.js';
import { inferType, type KnownNode, keepsShape } from '../../lib/shapes/operators.js';
import { type Dim, type Shape, UNKNOWN_DIM } from '../../lib/tensor.js';

/** Adds one operator to `x`, chosen by small numbers; invalid choices throw a GraphError. */
type Step = (g: Scope, x: Value, numbers: readonly number[]) => Value;

const weight = (g: Scope, dims: readonly number[]): Value => g.constant(filledTensor('float32', dims, 0));
const fixed = (dim: Dim | undefined): number => (typeof dim === 'number' ? dim : 2);

const STEPS: Readonly<Record<string, Step>> = {
  relu: (g, x) => op.relu(g, x),
  silu: (g, x) => op.silu(g, x),
  mish: (g, x) => op.mish(g, x),
  addItself: (g, x, [a]) => op.add(g, x, op.reduceMean(g, x, { axes: [a! - 2] })),
  where: (g, x) =>
    op.where(g, g.constant({ dtype: 'bool', dims: [1], data: Uint8Array.of(1) }), x, op.tanh(g, x)),
  conv: (g, x, [a, b, c]) =>
    op.conv(g, x, weight(g, [4, fixed(x.shape[1]), ...x.shape.slice(2).map(() => a! + 1)]), undefined, {
      strides: x.shape.slice(2).map(() => b! + 1),
      pads: x.shape.slice(2).flatMap(() => [c!, c!]),
    }),
  convTranspose: (g, x, [a, b]) =>
    op.convTranspose(
      g,
      x,
      weight(g, [fixed(x.shape[1]), 3, ...x.shape.slice(2).map(() => a! + 1)]),
      undefined,
      {
        strides: x.shape.slice(2).map(() => b! + 1),
      },
    ),
  maxPool: (g, x, [a, b]) =>
    op.maxPool(g, x, {
      kernelShape: x.shape.slice(2).map(() => a! + 1),
      strides: x.shape.slice(2).map(() => b! + 1),
    }),
  globalAveragePool: (g, x) => op.globalAveragePool(g, x),
  matMul: (g, x, [a]) => op.matMul(g, x, weight(g, [fixed(x.shape.at(-1)), a! + 1])),
  gemm: (g, x, [a]) => op.gemm(g, x, weight(g, [a! + 1, fixed(x.shape[1])]), undefined, { transB: true }),
  transpose: (g, x, [a]) =>
    op.transpose(g, x, a ? {} : { perm: x.shape.map((_, axis) => (axis + 1) % x.rank) }),
  unsqueeze: (g, x, [a]) => op.unsqueeze(g, x, { axes: [a! - 2] }),
  reduceMean: (g, x, [a, b]) => op.reduceMean(g, x, { axes: [a! - 2], keepdims: b === 0 }),
  flatten: (g, x, [a]) => op.flatten(g, x, { axis: a! - 1 }),
  reshape: (g, x, [a]) => op.reshape(g, x, [0, -1, a! + 1]),
  expand: (g, x, [a]) => op.expand(g, op.unsqueeze(g, x, { axes: [0] }), [a! + 1, ...x.shape.map(() => 1)]),
  slice: (g, x, [a, b, c]) =>
    op.slice(g, x, { starts: [b! - 2], ends: [c === 0 ? 2 ** 31 - 1 : c!], axes: [a! - 2] }),
  gather: (g, x, [a, b]) =>
    op.gather(g, x, g.constant({ dtype: 'int64', dims: [b!], data: new BigInt64Array(b) }), {
      axis: a! - 2,
    }),
  cos: (g, x) => op.cos(g, op.log(g, op.exp(g, op.sin(g, x)))),
  // Of unequal parts the rewriter keeps only what they have in common.
  split: (g, x, [a]) => {
    const half = fixed(x.shape.at(a! - 2)) / 2;
    return op.split(g, x, { axis: a! - 2, sizes: [half, half] })[0]!;
  },
  concat: (g, x, [a]) => op.concat(g, [x, op.relu(g, x)], { axis: a! - 2 }),
  pad: (g, x, [a, b]) => op.pad(g, x, { pads: [...x.shape.map(() => a!), ...x.shape.map(() => b!)] }),
  resize: (g, x, [a]) => op.resize(g, x, { scales: x.shape.map((_, axis) => (axis < 2 ? 1 : (a! + 1) / 2)) }),
  instanceNormalization: (g, x) => {
    const channels = [fixed(x.shape[1])];
    return op.instanceNormalization(g, x, weight(g, channels), weight(g, channels));
  },
};

const dim: fc.Arbitrary<Dim> = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom('N', 'H', 'W'));
const shape: fc.Arbitrary<Shape> = fc.array(dim, { minLength: 1, maxLength: 5 });
const steps = fc.array(
  fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3))),
  { minLength: 1, maxLength: 8 },
);

/** Builds a graph of those steps that are valid. */
function graphOf(input: Shape, chosen: readonly (readonly [string, readonly number[]])[]): Graph {
  const g = new GraphBuilder('random');
  let value = g.input('x', 'float32', input);
  chosen.forEach(([name, numbers], index) => {
    try {
      value = STEPS[name]!(g.scope(`s${index}`), value, numbers);
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
    }
  });
  g.output('y', value);
  return g.build();
}

/** The types that the rewriter infers for the graph's values, if the model declares none of them. */
function rewriterTypes(graph: Graph): ValueTypes {
  const message = ModelProto.decode(encodeModel(graph, new Map(), { opset: 18 }));
  message.graph!.valueInfo = [];
  return new ValueTypes(Model.decode(ModelProto.encode(message).finish()));
}

/** A node with attributes that all have the same value. */
interface RandomNode {
  readonly opType: string;
  readonly shapes: readonly (Shape | undefined)[];
  readonly sizes: readonly (Shape | undefined)[];
  readonly attribute: number | undefined;
  readonly list: readonly number[] | undefined;
  readonly outputCount: number;
}

describe('the table of shape functions', () => {
  const compare = (input: Shape, chosen: readonly (readonly [string, readonly number[]])[]): void => {
    const graph = graphOf(input, chosen);
    const types = rewriterTypes(graph);
    const isStatic = input.every((one) => typeof one === 'number');
    for (const { opType, outputs } of graph.nodes) {
      const [expected] = outputs;
      const actual = types.typeOf(expected!.name);
      expect(actual.dtype, opType).to.equal(expected!.dtype);
      expect(actual.shape, opType).to.have.lengthOf(expected!.rank);
      if (isStatic) expect(actual.shape, opType).to.deep.equal(expected!.shape);
      actual.shape!.forEach((one, axis) =>
        expect([UNKNOWN_DIM, expected!.shape[axis]], opType).to.include(one),
      );
    }
  };

  it('the rewriter infers the sizes that the builder infers, if all sizes are numbers', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    fc.assert(fc.property(sizes, steps, compare), { numRuns: 300 });
  });

  it('the rewriter infers the dimensions that the builder infers, or unknown ones, if sizes are names', () => {
    fc.assert(fc.property(shape, steps, compare), { numRuns: 300 });
  });

  it('inferType never throws, whatever inputs and attributes a node has', () => {
    const names =
      'Conv ConvTranspose MaxPool MatMul Gemm Gather ReduceMean Shape Transpose Unsqueeze DepthToSpace Add';
    const more =
      'SpaceToDepth Expand Flatten Reshape Concat Slice Split Pad Resize Tile Where Relu QLinearConv';
    const number = fc.oneof(fc.integer({ min: -3, max: 5 }), fc.constantFrom(NaN, Infinity, 0.5, 2 ** 40));
    const anyDim = fc.oneof(dim, fc.constantFrom<Dim>(UNKNOWN_DIM, 0, -1, ')(', '2*'));
    const anyShape = fc.option(fc.array(anyDim, { maxLength: 5 }), { nil: undefined });
    const list = fc.option(fc.array(number, { maxLength: 5 }), { nil: undefined });
    const node: fc.Arbitrary<RandomNode> = fc.record({
      opType: fc.constantFrom(...`${names} ${more}`.split(' ')),
      shapes: fc.array(anyShape, { maxLength: 5 }),
      sizes: fc.array(fc.option(fc.array(fc.oneof(number, anyDim), { maxLength: 5 }), { nil: undefined }), {
        maxLength: 5,
      }),
      attribute: fc.option(number, { nil: undefined }),
      list,
      outputCount: fc.nat(3),
    });
    const check = ({ opType, shapes, sizes, attribute, list, outputCount }: RandomNode): void => {
      const known: KnownNode = {
        opType,
        inputs: shapes.map((one) => ({ dtype: 'float32', shape: one })),
        outputCount,
        has: (index) => sizes[index] !== undefined,
        sizes: (index) => sizes[index],
        number: () => attribute,
        numbers: () => list,
        text: () => undefined,
        dtype: () => undefined,
      };
      const isDim = (one: Dim) => typeof one === 'string' || (Number.isSafeInteger(one) && one >= 0);
      expect(inferType(known)!.shape?.every(isDim) ?? true).to.equal(true);
    };
    fc.assert(fc.property(node, check), { numRuns: 5000 });
  });

  it('inferType is undefined for an operator that the table lacks', () => {
    const unknown = { opType: 'Unheard', inputs: [], outputCount: 1 } as unknown as KnownNode;
    expect(inferType(unknown)).to.equal(undefined);
  });

  it("keepsShape is true only for operators of ONNX's own domain", () => {
    expect(keepsShape({ domain: '', opType: 'Cast' })).to.equal(true);
    expect(keepsShape({ domain: '', opType: 'Transpose' })).to.equal(false);
    expect(keepsShape({ domain: 'com.microsoft', opType: 'Gelu' })).to.equal(false);
  });
});
