import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { toFloat64Array } from '../../../lib/half.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { fuseGroupNorm } from '../../../lib/rewrite/norms/fuse-group-norm.js';
import { createSession } from '../../../lib/runtime/node.js';
import { elementCount, type FloatDType, type Shape, type TensorData } from '../../../lib/tensor.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../../support/group-norm.js';
import { describeNative } from '../../support/native.js';

const SHAPE = ['N', 8, 'H', 5] as const;
const CASE = {
  x: randomTensor('float32', [2, 8, 6, 5]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: 2 ** -17,
};

type Tail = (g: GraphBuilder, norm: Value, residual: Value) => void;

/** GroupNormalization of `x` and what `tail` makes of it. */
function model(tail: Tail, { dtype = 'float32', shape = SHAPE }: { dtype?: FloatDType; shape?: Shape } = {}) {
  const g = new GraphBuilder('test');
  const x = g.input('x', dtype, SHAPE);
  const residual = g.input('residual', dtype, shape);
  const weight = g.parameter('weight', { dtype, shape: [8] });
  const bias = g.parameter('bias', { dtype, shape: [8] });
  tail(g, op.groupNormalization(g, x, weight, bias, { numGroups: 4, epsilon: 2 ** -17 }), residual);
  const weights = new Map<string, TensorData>([
    ['weight', dtype === 'float32' ? CASE.scale : randomTensor(dtype, [8], { stream: 'scale' })],
    ['bias', dtype === 'float32' ? CASE.bias : randomTensor(dtype, [8], { stream: 'bias' })],
  ]);
  return encodeModel(g.build(), weights, { opset: 21, lowering: 'op' });
}

const keep: Tail = (g, norm, residual) => g.output('unused', op.relu(g, op.add(g, norm, residual)));
const relu: Tail = (g, norm) => g.output('y', op.relu(g, norm));
const silu: Tail = (g, norm) => g.output('y', op.silu(g, norm));
const mulFirst: Tail = (g, norm) => g.output('y', op.mul(g, op.sigmoid(g, norm), norm));
const residual: Tail = (g, norm, other) => g.output('y', op.relu(g, op.add(g, norm, other)));
const residualFirst: Tail = (g, norm, other) => g.output('y', op.relu(g, op.add(g, other, norm)));

const opTypes = (bytes: Uint8Array): string[] => {
  const decoded = Model.decode(bytes);
  fuseGroupNorm(decoded);
  return Model.decode(decoded.encode()).nodes.map(({ opType }) => opType);
};

describe('fuseGroupNorm', () => {
  for (const [name, tail] of Object.entries({ relu, silu, mulFirst, residual, residualFirst })) {
    it(`fuseGroupNorm replaces ${name} by one node`, () => {
      expect(opTypes(model(tail))).to.deep.equal(['FusedGroupNormalization']);
    });
  }

  const left: Record<string, Tail> = {
    'its result is an output too': (g, norm) => {
      g.output('norm', norm);
      g.output('y', op.relu(g, norm));
    },
    'its result is read by another node': (g, norm, other) => {
      g.output('y', op.relu(g, norm));
      g.output('z', op.mul(g, norm, other));
    },
    'the sum is read by another node': (g, norm, other) => {
      const sum = op.add(g, norm, other);
      g.output('y', op.relu(g, sum));
      g.output('z', op.sigmoid(g, sum));
    },
    'the sigmoid is an output': (g, norm) => {
      const sigmoid = op.sigmoid(g, norm);
      g.output('s', sigmoid);
      g.output('y', op.mul(g, norm, sigmoid));
    },
    'the sigmoid is multiplied by something else': (g, norm, other) => {
      g.output('y', op.mul(g, op.sigmoid(g, norm), other));
      g.output('z', op.mul(g, norm, other));
    },
    'it is added to itself': (g, norm) => g.output('y', op.relu(g, op.add(g, norm, norm))),
    'no activation follows the sum': (g, norm, other) => g.output('y', op.add(g, norm, other)),
  };
  for (const [reason, tail] of Object.entries(left)) {
    it(`fuseGroupNorm leaves the operator if ${reason}`, () => {
      expect(opTypes(model(tail)))
        .to.include('GroupNormalization')
        .and.not.include('FusedGroupNormalization');
    });
  }

  for (const [what, groups] of [
    ['none', undefined],
    ['0', 0],
  ] as const) {
    it(`fuseGroupNorm leaves an operator whose num_groups is ${what} for the runtime to refuse`, () => {
      const message = ModelProto.decode(model(relu));
      const norm = message.graph!.node!.find(({ opType }) => opType === 'GroupNormalization')!;
      const others = norm.attribute!.filter(({ name }) => name !== 'num_groups');
      const zero = norm.attribute!.find(({ name }) => name === 'num_groups')!;
      norm.attribute = groups === undefined ? others : [...others, { ...zero, i: groups }];
      expect(opTypes(ModelProto.encode(message).finish())).to.deep.equal(['GroupNormalization', 'Relu']);
    });
  }

  for (const shape of [
    ['N', 8, 1, 1],
    ['M', 8, 'H', 5],
    [8, 1, 1],
  ] as const) {
    it(`fuseGroupNorm leaves a residual of shape [${shape.join(', ')}] to Add, which broadcasts it`, () => {
      expect(opTypes(model(keep, { shape }))).to.include('GroupNormalization');
    });
  }

  it('fuseGroupNorm infers the shape of a residual that is another normalization', () => {
    const shortcut: Tail = (g, norm, other) => {
      const branch = op.groupNormalization(g, op.sigmoid(g, other), undefined, undefined, { numGroups: 2 });
      g.output('y', op.relu(g, op.add(g, norm, branch)));
    };
    expect(opTypes(model(shortcut))).to.deep.equal([
      'Sigmoid',
      'GroupNormalization',
      'FusedGroupNormalization',
    ]);
  });
});

/** Adds two tensors of one rank as ONNX defines it: a size of 1 is repeated. */
function broadcastSum(a: Float64Array, aDims: readonly number[], b: Float64Array, bDims: readonly number[]) {
  const dims = aDims.map((dim, axis) => (dim === 1 ? bDims[axis]! : dim));
  const indexIn = (own: readonly number[], index: number) => {
    let [flat, stride, rest] = [0, 1, index];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      flat += own[axis] === 1 ? 0 : (rest % dims[axis]!) * stride;
      stride *= own[axis]!;
      rest = Math.floor(rest / dims[axis]!);
    }
    return flat;
  };
  const sum = (_: unknown, i: number) => a[indexIn(aDims, i)]! + b[indexIn(bDims, i)]!;
  return { dims, values: Float64Array.from({ length: elementCount(dims) }, sum) };
}

describeNative('the fused operator, run', () => {
  const expected = (dtype: FloatDType, x: TensorData) => {
    const [scale, bias] = ['scale', 'bias'].map((stream) => randomTensor(dtype, [8], { stream }));
    return referenceGroupNorm({ ...CASE, x, scale, bias });
  };
  const activations = {
    relu: (v: number) => Math.max(v, 0),
    silu: (v: number) => v / (1 + Math.exp(-v)),
    residual: (v: number, r: number) => Math.max(v + r, 0),
  };
  const tails = { relu, silu, residual };
  const tolerances = { float32: 2e-6, float64: 1e-13, float16: 8e-3, bfloat16: 6e-2 } as const;

  for (const [dtype, tolerance] of Object.entries(tolerances) as [FloatDType, number][]) {
    for (const name of ['relu', 'silu', 'residual'] as const) {
      it(`fuseGroupNorm fuses ${name} to an operator that computes it in ${dtype}`, async () => {
        const session = await createSession(model(tails[name], { dtype }), { providers: ['native'] });
        const feeds = {
          x: randomTensor(dtype, CASE.x.dims),
          residual: randomTensor(dtype, CASE.x.dims, { stream: 'residual' }),
        };
        const others = toFloat64Array(feeds.residual);
        const { y } = await session.run(feeds);
        const right = expected(dtype, feeds.x).map((value, i) => activations[name](value, others[i]!));
        expect(maxAbsDifference(y!, right)).to.be.below(tolerance);
        expect(session.groupNorm).to.equal('kernel');
        await session.dispose();
      });
    }
  }

  const sizes = {
    'a residual of batch 1': [CASE.x.dims, [1, 8, 6, 5]],
    'a residual of height 1': [CASE.x.dims, [2, 8, 1, 5]],
    'a residual of batch 1 and height 1': [CASE.x.dims, [1, 8, 1, 5]],
    'an input of batch 1': [
      [1, 8, 6, 5],
      [3, 8, 6, 5],
    ],
    'an input of height 1, a residual of batch 1': [
      [2, 8, 1, 5],
      [1, 8, 6, 5],
    ],
    'a residual of batch 0': [
      [1, 8, 6, 5],
      [0, 8, 6, 5],
    ],
  } as const;
  for (const dtype of ['float32', 'float16'] as const) {
    for (const [what, [dims, others]] of Object.entries(sizes)) {
      it(`fuseGroupNorm broadcasts ${what} as Add does, though the names of the sizes are equal, in ${dtype}`, async () => {
        const session = await createSession(model(residual, { dtype }), { providers: ['native'] });
        const feeds = {
          x: randomTensor(dtype, dims),
          residual: randomTensor(dtype, others, { stream: 'residual' }),
        };
        const right = broadcastSum(expected(dtype, feeds.x), dims, toFloat64Array(feeds.residual), others);
        for (let run = 0; run < 2; run++) {
          const { y } = await session.run(feeds);
          expect(y!.dims).to.deep.equal(right.dims);
          const sum = right.values.map((value) => Math.max(value, 0));
          expect(maxAbsDifference(y!, sum)).to.be.below(tolerances[dtype]);
        }
        expect(session.groupNorm).to.equal('kernel');
        await session.dispose();
      });
    }
  }

  it('fuseGroupNorm makes an operator that refuses a residual of another size at run time', async () => {
    const session = await createSession(model(residual), { providers: ['native'] });
    const wrong = { x: CASE.x, residual: randomTensor('float32', [2, 8, 7, 5]) };
    const error: unknown = await session.run(wrong).catch((caught: unknown) => caught);
    expect(error).to.have.property('code', 'RUN_FAILED');
    await session.dispose();
  });
});
