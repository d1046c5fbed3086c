import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as attr from '../../lib/graph/attr.js';
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Attributes, Value } from '../../lib/graph/types.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { Model } from '../../lib/onnx/model.js';
import { ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { ValueTypes } from '../../lib/rewrite/analysis/value-types.js';
import { int64Vector, type Shape, tensor } from '../../lib/tensor.js';

type Build = (g: Scope, x: Value) => Value;

/** Returns the inferred shape of the value that `build` makes, in a model that declares only its input. */
function shapeBehind(shape: Shape, build: Build): Shape | undefined {
  const g = new GraphBuilder('cut');
  const result = build(g, g.input('x', 'float32', shape));
  g.output('y', op.identity(g, result));
  const message = ModelProto.decode(encodeModel(g.build(), new Map(), { opset: 18 }));
  message.graph!.valueInfo = [];
  // The builder writes the attributes of a Slice as inputs, but not those of a `Slice-9`.
  for (const made of message.graph!.node!) made.opType = made.opType!.replace(/-\d+$/, '');
  return new ValueTypes(Model.decode(ModelProto.encode(message).finish())).typeOf(result.name).shape;
}

const vector = (g: Scope, ...values: number[]): Value => g.constant(int64Vector(values));
const floats = (g: Scope, ...values: number[]): Value =>
  g.constant(tensor('float32', [values.length], Float32Array.from(values)));

const node =
  (opType: string, inputs: (g: Scope, x: Value) => Value[], attributes: Attributes = {}): Build =>
  (g, x) =>
    g.node(opType, [x, ...inputs(g, x)], attributes, [{ dtype: 'float32', shape: x.shape }])[0]!;

// Expected sizes are NumPy's; for Resize floor(size · scale) in float32. 2,400 random nodes agreed with ONNX Runtime.
const CASES: Record<string, [shape: Shape, build: Build, expected: Shape]> = {
  'Slice keeps its other axes': [
    ['N', 8, 'H', 9],
    node('Slice', (g) => [vector(g, 1), vector(g, -1), vector(g, -1)]),
    ['N', 8, 'H', 7],
  ],
  'Slice counts steps to an end that is out of reach': [
    [1, 8, 10],
    node('Slice', (g) => [vector(g, 1), vector(g, 2 ** 40), vector(g, 2), vector(g, 3)]),
    [1, 8, 3],
  ],
  'Slice backwards has an unknown size': [
    [1, 8, 10],
    node('Slice', (g) => [vector(g, -1), vector(g, -20), vector(g, 2), vector(g, -1)]),
    [1, 8, '?'],
  ],
  'Slice of a whole axis keeps its name': [
    ['N', 8, 'L'],
    node('Slice', (g) => [vector(g, 0), vector(g, 2 ** 40), vector(g, 2)]),
    ['N', 8, 'L'],
  ],
  'Slice of opset 9 has its bounds in attributes': [
    ['N', 8, 'H', 9],
    node('Slice-9', () => [], {
      starts: attr.ints([1, 2]),
      ends: attr.ints([-1, 9]),
      axes: attr.ints([3, 1]),
    }),
    ['N', 6, 'H', 7],
  ],
  'Pad of opset 10 has its sizes in an attribute': [
    ['N', 8, 5],
    node('Pad', () => [], { pads: attr.ints([0, 1, 2, 0, 0, 3]) }),
    ['N', 9, 10],
  ],
  'Upsample of opset 8 has its scales in an attribute': [
    ['N', 8, 5],
    node('Upsample', () => [], { scales: attr.floats([1, 1, 2]) }),
    ['N', 8, 10],
  ],
  'Upsample of opset 9 and Resize of opset 10 have their scales in the second input': [
    [2, 8, 5],
    (g, x) => {
      const upsample = node('Upsample', () => [floats(g, 1, 1, 2)])(g, x);
      return node('Resize', () => [floats(g, 1, 1, 3)])(g, upsample);
    },
    [2, 8, 30],
  ],
  'Split in equal parts has their size': [
    ['N', 8, 'L'],
    node('Split', (g) => [vector(g, 4, 4)], { axis: attr.int(1) }),
    ['N', 4, 'L'],
  ],
  'Split in unequal parts has an unknown size': [
    ['N', 8, 'L'],
    node('Split', (g) => [vector(g, 3, 5)], { axis: attr.int(1) }),
    ['N', '?', 'L'],
  ],
  'Pad adds to sizes, and makes names unknown': [
    ['N', 8, 5, 'W'],
    node('Pad', (g) => [vector(g, 0, 0, 1, 1, 0, 0, 2, 1)]),
    ['N', 8, 8, '?'],
  ],
  'Resize multiplies sizes in float32, and makes names unknown': [
    ['N', 8, 5, 'W'],
    node('Resize', (g) => [floats(g), floats(g, 1, 1, 0.7, 2)]),
    ['N', 8, 3, '?'],
  ],
  'Tile multiplies sizes': [['N', 8, 5], node('Tile', (g) => [vector(g, 1, 2, 3)]), ['N', 16, 15]],
  'Expand repeats a dimension of size 1': [
    ['N', 8, 1],
    node('Expand', (g) => [vector(g, 1, 1, 5)]),
    ['N', 8, 5],
  ],
  'DepthToSpace moves channels into pixels': [
    [1, 8, 3, 'W'],
    node('DepthToSpace', () => [], { blocksize: attr.int(2) }),
    [1, 2, 6, '?'],
  ],
  'SpaceToDepth moves pixels into channels, and makes a size with a remainder unknown': [
    [1, 2, 6, 5],
    node('SpaceToDepth', () => [], { blocksize: attr.int(2) }),
    [1, 8, 3, '?'],
  ],
  'Reshape infers -1 beside a part of a shape, as TorchScript writes flatten(2)': [
    [2, 16, 20, 24],
    (g, x) => {
      const start = op.slice(g, op.shape(g, x), { starts: [0], ends: [2], axes: [0] });
      return g.node('Reshape', [x, op.concat(g, [start, vector(g, -1)], { axis: 0 })], {}, [
        { dtype: 'float32', shape: [2, 16, 480] },
      ])[0]!;
    },
    [2, 16, 480],
  ],
};

describe('the shapes that follow from slicing, padding, repeating and resizing', () => {
  for (const [what, [shape, build, expected]] of Object.entries(CASES)) {
    it(what, () => {
      expect(shapeBehind(shape, build)).to.deep.equal(expected);
    });
  }
});
