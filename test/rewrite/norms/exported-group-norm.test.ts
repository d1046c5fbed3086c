import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder, type Scope } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { kernelLowering } from '../../../lib/lowering/op.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { mergeExportedGroupNorm } from '../../../lib/rewrite/norms/exported-group-norm.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type FloatDType, int64Vector, type Shape, tensor, type TensorData } from '../../../lib/tensor.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../../support/group-norm.js';
import { NATIVE_REASON } from '../../support/native.js';

interface Parts {
  readonly shape: Shape;
  readonly dtype: FloatDType;
  /** What (N, C, ...) is reshaped to. */
  readonly rows: readonly number[];
  /** Of InstanceNormalization, one element per group. */
  readonly ones: number;
  readonly zeros: number;
  /** The shape that the result gets. */
  readonly target: (g: Scope, x: Value) => Value;
  /** What the result is declared as, if not as x. */
  readonly result?: Shape;
  /** Dims of what is multiplied and added. */
  readonly affine: readonly number[];
  readonly before: (g: Scope, x: Value) => Value;
  readonly after: (g: GraphBuilder, steps: Readonly<Record<'rows' | 'norm' | 'joined' | 'y', Value>>) => void;
}

const SHAPE = ['N', 8, 'H', 5];
const DIMS = [2, 8, 60, 5];
const GROUPS = 2;

const PARTS: Parts = {
  shape: SHAPE,
  dtype: 'float32',
  rows: [0, GROUPS, -1],
  ones: 1,
  zeros: 0,
  target: (g, x) => op.shape(g, x),
  affine: [8, 1, 1],
  before: (_, x) => x,
  after: (g, { y }) => g.output('y', y),
};

const filled = (g: Scope, dtype: FloatDType, length: number, value: number) =>
  g.constant(randomTensor(dtype, [length], { mean: value, deviation: 0 }));

const sizes = (g: Scope, ...values: number[]) => g.constant(int64Vector(values));

/** GroupNorm as PyTorch exports it below opset 21, but for what is changed. */
function exported(changes: Partial<Parts> = {}, opset = 17): Model {
  const { shape, dtype, rows, ones, zeros, target, affine, before, after, result } = { ...PARTS, ...changes };
  const g = new GraphBuilder('exported');
  const x = before(g, g.input('x', dtype, shape));
  const split = op.reshape(g, x, rows);
  const groups = split.shape[1] as number;
  const [scale, bias] = [filled(g, dtype, groups, ones), filled(g, dtype, groups, zeros)];
  const norm = op.instanceNormalization(g, split, scale, bias);
  const joined = op.reshape(g, norm, target(g, x), { outputShape: result ?? shape });
  const scaled = op.mul(g, joined, g.constant(randomTensor(dtype, affine, { stream: 'scale' })));
  const y = op.add(g, scaled, g.constant(randomTensor(dtype, affine, { stream: 'bias' })));
  after(g, { rows: split, norm, joined, y });
  return Model.decode(encodeModel(g.build(), new Map(), { opset }));
}

/** The model with an If at the end, whose body reads a value by its name. */
function withBody(model: Model, read: string): Model {
  const message = ModelProto.decode(model.encode());
  const graph = (name: string) => ({
    name,
    node: [{ opType: 'Identity', input: [read], output: [name] }],
    output: [{ name }],
  });
  const branches = ['then', 'else'].map((name) => ({ name: `${name}_branch`, type: 5, g: graph(name) }));
  const flag = { name: 'flag', dims: [], dataType: 9, int32Data: [1] };
  message.graph!.initializer!.push(flag);
  message.graph!.node!.push({ opType: 'If', input: ['flag'], output: ['chosen'], attribute: branches });
  message.graph!.output!.push({ name: 'chosen' });
  return Model.decode(ModelProto.encode(message).finish());
}

function operatorsAfter(model: Model): string[] {
  mergeExportedGroupNorm(model, kernelLowering);
  return Model.decode(model.encode()).nodes.map(({ opType }) => opType);
}

const MERGED = ['Reshape', 'Reshape', 'FusedGroupNormalization'];

describe('mergeExportedGroupNorm', () => {
  const same: Record<string, Partial<Parts>> = {
    'as it is': {},
    'of a known shape': { shape: DIMS, target: (g) => sizes(g, ...DIMS) },
    'with a size left to Reshape': { shape: ['N', 8, 6, 5], target: (g) => sizes(g, -1, 8, 6, 5) },
    'with the batch copied': { shape: ['N', 8, 6, 5], target: (g) => sizes(g, 0, 8, 6, 5) },
    'with the shape of a value that has the same': {
      target: (g, x) => op.shape(g, op.relu(g, x)),
      before: (g, x) => op.sigmoid(g, x),
    },
    'with a batch of 1 before the channels': { affine: [1, 8, 1, 1] },
    'of rank 2': { shape: ['N', 8], affine: [8], rows: [0, GROUPS, -1] },
  };
  for (const [name, changes] of Object.entries(same)) {
    for (const opset of [13, 20]) {
      it(`mergeExportedGroupNorm replaces an export by one operator, ${name}, at opset ${opset}`, () => {
        const left = operatorsAfter(exported(changes, opset));
        expect(left).to.include('FusedGroupNormalization').and.not.include('InstanceNormalization');
        expect(left).to.not.include('Mul').and.not.include('Add');
      });
    }
  }

  it('mergeExportedGroupNorm removes all nodes of the export', () => {
    expect(operatorsAfter(exported())).to.deep.equal(MERGED);
  });

  it('mergeExportedGroupNorm keeps the nodes that other nodes read', () => {
    const both: Parts['after'] = (g, { rows, y }) => {
      g.output('y', y);
      g.output('rows', rows);
    };
    expect(operatorsAfter(exported({ after: both }))).to.deep.equal(['Reshape', ...MERGED]);
  });

  const reshaped: Record<string, Partial<Parts>> = {
    'has other spatial sizes': {
      shape: [2, 8, 60, 5],
      target: (g) => sizes(g, 2, 8, 5, 60),
      result: [2, 8, 5, 60],
    },
    'has sizes that may not be those of x': { target: (g) => sizes(g, 0, 8, 60, 5) },
    'has another rank': {
      shape: [2, 8, 60, 5],
      target: (g) => sizes(g, 2, 8, -1),
      result: [2, 8, 300],
      affine: [8, 1],
    },
    'is made from a value of another shape': {
      shape: [2, 8, 60, 5],
      before: (g, x) => op.reshape(g, x, [1, 4, 2, 120, 5]),
      rows: [2, GROUPS, -1],
      target: (g) => sizes(g, 2, 8, 60, 5),
    },
  };
  for (const [what, changes] of Object.entries(reshaped)) {
    it(`mergeExportedGroupNorm replaces an export whose result ${what} by one operator, and keeps its numbers`, async () => {
      const model = exported(changes);
      expect(operatorsAfter(exported(changes))).to.include('FusedGroupNormalization');
      const x = randomTensor('float32', DIMS, { mean: 3 });
      const [scale, bias] = ['scale', 'bias'].map((stream) => randomTensor('float32', [8], { stream }));
      const expected = referenceGroupNorm({ x, scale, bias, numGroups: GROUPS, eps: Math.fround(1e-5) });
      for (const provider of ['native', 'cpu', 'wasm'] as const) {
        const session = await createSession(model.encode(), { providers: [provider, 'cpu'] });
        const { y } = await session.run({ x });
        expect(maxAbsDifference(y!, expected), provider).to.be.below(4e-6);
        await session.dispose();
      }
    });
  }

  const other: Record<string, Partial<Parts>> = {
    'the scale is not ones': { ones: 1.5 },
    'the bias is not zeros': { zeros: 0.25 },
    'the rows are not groups': { rows: [-1, GROUPS, 600], shape: [2, 8, 60, 5] },
    'the result has another batch': {
      shape: [2, 8, 60, 5],
      target: (g) => sizes(g, 1, 8, 120, 5),
      result: [1, 8, 120, 5],
    },
    'the batch is not known to be kept': { target: (g) => sizes(g, 2, 8, 60, 5) },
    'the groups do not divide the channels': {
      shape: [2, 8, 60, 5],
      target: (g) => sizes(g, 2, 5, 60, 8),
      result: [2, 5, 60, 8],
      affine: [5, 1, 1],
    },
    'the shape is that of another input, which names its sizes alike': {
      target: (g) => op.shape(g, (g as GraphBuilder).input('z', 'float32', SHAPE)),
    },
    'the shape is that of another value': {
      target: (g) => op.shape(g, g.constant(randomTensor('float32', DIMS))),
    },
    'the normalization is an output': {
      after: (g, { norm, y }) => {
        g.output('norm', norm);
        g.output('y', y);
      },
    },
    'the normalization is read by another node': {
      after: (g, { norm, y }) => {
        g.output('relu', op.relu(g, norm));
        g.output('y', y);
      },
    },
  };
  for (const [reason, changes] of Object.entries(other)) {
    it(`mergeExportedGroupNorm leaves the export if ${reason}`, () => {
      expect(operatorsAfter(exported(changes))).to.include('InstanceNormalization');
    });
  }

  const partly: Record<string, Partial<Parts>> = {
    'goes along the last axis': { affine: [5], shape: ['N', 8, 60, 5] },
    'goes along the last axis, which is as long as there are channels': {
      affine: [8],
      shape: ['N', 8, 60, 8],
    },
    'is of higher rank': { affine: [1, 1, 8, 1, 1] },
    'is one number': { affine: [1] },
    'follows a result that is an output': {
      after: (g, { joined, y }) => {
        g.output('joined', joined);
        g.output('y', y);
      },
    },
  };
  for (const [reason, changes] of Object.entries(partly)) {
    it(`mergeExportedGroupNorm leaves Mul and Add if the operand of Mul ${reason}`, () => {
      const left = operatorsAfter(exported(changes));
      expect(left).to.include('FusedGroupNormalization').and.include('Mul').and.include('Add');
    });
  }

  it('mergeExportedGroupNorm leaves exports with unknown channels', () => {
    const unknown = (g: Scope, x: Value) =>
      g.node('Unknown', [x], {}, [{ dtype: 'float32', shape: x.shape }])[0]!;
    const message = ModelProto.decode(exported({ before: unknown }).encode());
    message.graph!.valueInfo = [];
    const undeclared = Model.decode(ModelProto.encode(message).finish());
    expect(operatorsAfter(undeclared)).to.include('InstanceNormalization');
  });

  it('mergeExportedGroupNorm replaces exports in a graph with control flow, except those whose inner values a body reads', async () => {
    const model = exported();
    const [split, norm] = model.nodes.map(({ outputs }) => outputs[0]!);
    expect(operatorsAfter(withBody(model, 'x'))).to.deep.equal([...MERGED, 'If']);
    expect(operatorsAfter(withBody(model, split!))).to.deep.equal(['Reshape', ...MERGED, 'If']);
    expect(operatorsAfter(withBody(model, norm!))).to.include('InstanceNormalization');
    const x = randomTensor('float32', [2, 8, 6, 5]);
    const session = await createSession(withBody(model, split!).encode());
    const { y, chosen } = await session.run({ x });
    const plain = await createSession(model.encode());
    expect((await plain.run({ x })).y).to.deep.equal(y);
    expect(chosen!.data).to.deep.equal(x.data);
    await session.dispose();
    await plain.dispose();
  });

  it('mergeExportedGroupNorm leaves graphs whose operators may be local functions', () => {
    const message = ModelProto.decode(exported().encode());
    message.functions = [{ name: 'Mul', input: ['a', 'b'], output: ['c'], node: [] }];
    const model = Model.decode(ModelProto.encode(message).finish());
    expect(mergeExportedGroupNorm(model, kernelLowering)).to.equal(0);
  });
});

describe('a session, given GroupNorm as PyTorch exports it below opset 21,', () => {
  const tolerances = { float32: 4e-6, float64: 1e-12, float16: 8e-3 } as const;
  const sessions = [
    ...(NATIVE_REASON === undefined ? [{ name: 'kernel', options: { providers: ['native'] } } as const] : []),
    ...(['reduce-mean', 'instance-norm', 'layer-norm'] as const).map(
      (name) => ({ name, options: { providers: ['cpu'], groupNorm: name } }) as const,
    ),
  ];
  const expected = (x: TensorData, dtype: FloatDType) => {
    const [scale, bias] = ['scale', 'bias'].map((stream) => randomTensor(dtype, [8], { stream }));
    return referenceGroupNorm({ x, scale, bias, numGroups: GROUPS, eps: Math.fround(1e-5) });
  };

  for (const { name, options } of sessions) {
    for (const [dtype, tolerance] of Object.entries(tolerances) as [FloatDType, number][]) {
      it(`a session computes GroupNorm of PyTorch's export below opset 21 correctly in ${dtype} for a mean of 10, by ${name}`, async () => {
        const x = randomTensor(dtype, [2, 8, 61, 5], { mean: 10 });
        const session = await createSession(exported({ dtype }).encode(), options);
        const isWithoutKernel = name === 'instance-norm' && dtype === 'float64';
        expect(session.groupNorm).to.equal(isWithoutKernel ? 'reduce-mean' : name);
        const { y } = await session.run({ x });
        expect(maxAbsDifference(y!, expected(x, dtype))).to.be.below(tolerance);
        await session.dispose();
      });
    }

    it(`a session computes a TorchScript export, which declares no values, correctly by ${name}`, async () => {
      const sample = readFileSync(new URL('../../samples/torchscript-group-norm.onnx', import.meta.url));
      const x = randomTensor('float32', [2, 4, 50, 60], { mean: 1000 });
      const session = await createSession(sample, options);
      expect(session.groupNorm).to.equal(name);
      const { y } = await session.run({ x });
      // The sample's scale is 1 to 4, its bias −1, and a ReLU follows.
      const affine = {
        scale: tensor('float32', [4], Float32Array.of(1, 2, 3, 4)),
        bias: tensor('float32', [4], Float32Array.of(-1, -1, -1, -1)),
      };
      const norm = referenceGroupNorm({ x, ...affine, numGroups: 2, eps: Math.fround(1e-5) });
      expect(
        maxAbsDifference(
          y!,
          norm.map((value) => Math.max(value, 0)),
        ),
      ).to.be.below(4e-5);
      await session.dispose();
    });
  }
});
