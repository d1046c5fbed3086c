import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ints } from '../../../lib/graph/attr.js';
import { GraphBuilder, type Scope } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { convertModel } from '../../../lib/rewrite/convert.js';
import { mergeWrittenGroupNorm } from '../../../lib/rewrite/norms/exported-group-norm.js';
import { createSession } from '../../../lib/runtime/node.js';
import { int64Vector, type Shape, tensor, type TensorData } from '../../../lib/tensor.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../../support/group-norm.js';
import { describeNative } from '../../support/native.js';

const EPSILON = Math.fround(1e-3);
const GROUPS = 2;

const node = (g: Scope, opType: string, inputs: readonly Value[], shape = inputs[0]!.shape): Value =>
  g.node(opType, [...inputs], {}, [{ dtype: inputs[0]!.dtype, shape }])[0]!;
const constant = (g: Scope, value: number, dims: readonly number[] = []): Value =>
  g.constant(tensor('float32', dims, Float32Array.of(value)));
const weights = (g: Scope, stream: string, dims: readonly number[]): Value =>
  g.constant(randomTensor('float32', dims, { stream }));

/** What a GroupNorm that is written by hand is made of. Each part may be another. */
interface Parts {
  readonly shape: Shape;
  readonly rows: readonly number[];
  readonly axes: readonly number[];
  readonly square: (g: Scope, value: Value) => Value;
  readonly mean: (g: Scope, rows: Value, axes: readonly number[]) => Value;
  readonly variance: (g: Scope, rows: Value, mean: Value, parts: Parts) => Value;
  readonly epsilon: (g: Scope) => Value;
  /** Makes the normalized rows of r, m and √(v + ε). */
  readonly normalize: (g: Scope, rows: Value, mean: Value, deviation: Value) => Value;
  readonly target: readonly number[];
  readonly affine: readonly number[] | undefined;
  readonly after: (g: GraphBuilder, y: Value, mean: Value) => void;
}

const meanOfSquares: Parts['variance'] = (g, rows, mean, { square, axes }) =>
  op.reduceMean(g, square(g, op.sub(g, rows, mean)), { axes });

const TEXTBOOK: Parts = {
  shape: [2, 8, 6, 5],
  rows: [2, GROUPS, -1],
  axes: [2],
  square: (g, value) => op.mul(g, value, value),
  mean: (g, rows, axes) => op.reduceMean(g, rows, { axes }),
  variance: meanOfSquares,
  epsilon: (g) => constant(g, EPSILON),
  normalize: (g, rows, mean, deviation) => op.div(g, op.sub(g, rows, mean), deviation),
  target: [2, 8, 6, 5],
  affine: [1, 8, 1, 1],
  after: (g, y) => g.output('y', y),
};

/** r · f + (β − m · f), as Keras 3 writes it. */
const KERAS: Partial<Parts> = {
  rows: [2, GROUPS, 4, 6, 5],
  axes: [2, 3, 4],
  square: (g, value) => node(g, 'Pow', [value, constant(g, 2)]),
  variance: (g, rows, mean, { square, axes }) =>
    op.sub(g, op.reduceMean(g, square(g, rows), { axes }), square(g, mean)),
  normalize: (g, rows, mean, deviation) => {
    const factor = op.mul(g, node(g, 'Reciprocal', [deviation]), weights(g, 'scale', [1, GROUPS, 4, 1, 1]));
    const offset = op.add(
      g,
      op.mul(g, node(g, 'Neg', [mean]), factor),
      weights(g, 'bias', [1, GROUPS, 4, 1, 1]),
    );
    return op.add(g, op.mul(g, rows, factor), offset);
  },
  affine: undefined,
};

const KERAS_LAST: Partial<Parts> = {
  ...KERAS,
  shape: [2, 6, 5, 8],
  rows: [2, 6, 5, GROUPS, 4],
  axes: [1, 2, 4],
  normalize: (g, rows, mean, deviation) => {
    const factor = op.mul(g, weights(g, 'scale', [GROUPS, 4]), node(g, 'Reciprocal', [deviation]));
    const offset = op.sub(g, weights(g, 'bias', [GROUPS, 4]), op.mul(g, factor, mean));
    return op.add(g, offset, op.mul(g, factor, rows));
  },
  target: [2, 6, 5, 8],
};

function written(changes: Partial<Parts> = {}): Model {
  const parts: Parts = { ...TEXTBOOK, ...changes };
  const g = new GraphBuilder('written');
  const x = g.input('x', 'float32', parts.shape);
  const rows = op.reshape(g, x, parts.rows);
  const mean = parts.mean(g, rows, parts.axes);
  const variance = parts.variance(g, rows, mean, parts);
  const deviation = op.sqrt(g, op.add(g, variance, parts.epsilon(g)));
  const joined = op.reshape(g, parts.normalize(g, rows, mean, deviation), parts.target);
  const y = parts.affine
    ? op.add(g, op.mul(g, joined, weights(g, 'scale', parts.affine)), weights(g, 'bias', parts.affine))
    : joined;
  parts.after(g, y, mean);
  return Model.decode(encodeModel(g.build(), new Map(), { opset: 18 }));
}

/** n ÷ (n − 1) times the variance. */
const corrected =
  (times: number, by: number): Parts['variance'] =>
  (g, rows, mean, parts) =>
    op.div(g, op.mul(g, meanOfSquares(g, rows, mean, parts), constant(g, times)), constant(g, by));

/** The length of a row, as exporters take it of the shape at run time. */
const integerLength = (g: Scope, rows: Value, axes: readonly number[]): Value => {
  const sizes = g.node('Gather', [op.shape(g, rows), g.constant(int64Vector(axes))], {}, [
    { dtype: 'int64', shape: [axes.length] },
  ])[0]!;
  return op.reduceProd(g, sizes, { axes: [0] });
};
const lengthAtRun = (g: Scope, rows: Value, axes: readonly number[]): Value =>
  op.cast(g, integerLength(g, rows, axes), 'float32');

/** The same with n taken at run time, as exporters write it where sizes have names. */
const correctedAtRun =
  ({ less = 1, of = (axes: readonly number[]) => axes, isCastLate = false } = {}): Parts['variance'] =>
  (g, rows, mean, parts) => {
    const length = integerLength(g, rows, of(parts.axes));
    const times = op.cast(g, length, 'float32');
    const by = isCastLate
      ? op.cast(g, op.sub(g, length, g.constant(int64Vector([less]))), 'float32')
      : op.sub(g, times, constant(g, less));
    return op.div(g, op.mul(g, meanOfSquares(g, rows, mean, parts), times), by);
  };

/** The mean as the sum ÷ n, n being taken of the rows themselves or as another number. */
const sumOver =
  (length: (g: Scope, rows: Value, axes: readonly number[]) => Value): Parts['mean'] =>
  (g, rows, axes) => {
    const sum = g.node('ReduceSum', [rows, g.constant(int64Vector(axes))], {}, [
      { dtype: 'float32', shape: rows.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) },
    ])[0]!;
    return op.div(g, sum, length(g, rows, axes));
  };

const NAMED: Partial<Parts> = { shape: ['N', 8, 'H', 5], rows: [0, GROUPS, -1], target: [0, 8, -1, 5] };

const LENGTH = 120;

describe('mergeWrittenGroupNorm', () => {
  const forms: Record<string, Partial<Parts>> = {
    'the textbook': {},
    'the mean as the sum by the length': { mean: sumOver((g) => constant(g, 120)) },
    'the mean as the sum by the length at run time': {
      shape: ['N', 8, 'H', 5],
      rows: [0, GROUPS, -1],
      target: [0, 8, -1, 5],
      mean: sumOver(lengthAtRun),
    },
    'rank 5': { rows: [2, GROUPS, 4, 6, 5], axes: [2, 3, 4] },
    'axes that count from the end': { axes: [-1] },
    'ε of one element': { epsilon: (g) => constant(g, EPSILON, [1, 1, 1]) },
    'E[x²] − E[x]²': { variance: KERAS.variance! },
    'the square by Pow': { square: KERAS.square! },
    'a variance without the reduced axis, which Unsqueeze puts back': {
      variance: (g, rows, mean, { square, axes }) =>
        op.unsqueeze(g, op.reduceMean(g, square(g, op.sub(g, rows, mean)), { axes, keepdims: false }), {
          axes: [2],
        }),
    },
    'the reciprocal by Div': {
      normalize: (g, rows, mean, deviation) =>
        op.mul(g, op.div(g, constant(g, 1), deviation), op.sub(g, rows, mean)),
    },
    'r · f − m · f': {
      normalize: (g, rows, mean, deviation) => {
        const factor = node(g, 'Reciprocal', [deviation]);
        return op.sub(g, op.mul(g, rows, factor), op.mul(g, mean, factor));
      },
    },
    "Keras 3's": KERAS,
    "Keras 3's with channels last": KERAS_LAST,
  };
  const affine = ['scale', 'bias'].map((stream) => randomTensor('float32', [8], { stream }));
  /** The result in float64, with the variance times `correction`. */
  const expected = (x: TensorData, correction = 1): Float64Array => {
    const [scale, bias] = affine.map((value) => Float64Array.from(value.data));
    const whole = { numGroups: GROUPS, eps: EPSILON / correction };
    const y = referenceGroupNorm({ x, ...whole });
    return y.map((value, i) => {
      const channel = Math.floor(i / 30) % 8;
      return (value / Math.sqrt(correction)) * scale![channel]! + bias![channel]!;
    });
  };
  /** The elements of (2, 6, 5, 8) in the order of (2, 8, 6, 5), and back. */
  const toFirst = (values: ArrayLike<number>): number[] =>
    Array.from(
      values,
      (_, i) => values[Math.floor(i / 240) * 240 + (i % 30) * 8 + (Math.floor(i / 30) % 8)]!,
    );

  async function differenceOf(model: Model, isLast: boolean, correction = 1): Promise<number> {
    const { dims } = randomTensor('float32', isLast ? [2, 6, 5, 8] : [2, 8, 6, 5]);
    const x = randomTensor('float32', dims, { mean: 2 });
    const first = isLast ? tensor('float32', [2, 8, 6, 5], Float32Array.from(toFirst(x.data))) : x;
    await using session = await createSession(model.encode(), { providers: ['cpu'] });
    const { y } = await session.run({ x });
    const values = isLast ? Float32Array.from(toFirst(y!.data as Float32Array)) : (y!.data as Float32Array);
    return maxAbsDifference(tensor('float32', [2, 8, 6, 5], values), expected(first, correction));
  }

  for (const [name, changes] of Object.entries(forms)) {
    it(`mergeWrittenGroupNorm replaces a GroupNorm that is written by hand, and keeps its numbers: ${name}`, async () => {
      const model = written(changes);
      const before = await differenceOf(model, changes === KERAS_LAST);
      expect(mergeWrittenGroupNorm(model, 'reduce-mean')).to.equal(1);
      expect(before).to.be.below(2e-5);
      expect(await differenceOf(model, changes === KERAS_LAST)).to.be.below(4e-6);
    });
  }

  it("mergeWrittenGroupNorm replaces a GroupNorm with n ÷ (n − 1) times the variance, as PyTorch's var is", async () => {
    const model = written({ variance: corrected(LENGTH, LENGTH - 1) });
    expect(mergeWrittenGroupNorm(model, 'reduce-mean')).to.equal(1);
    expect(await differenceOf(model, false, LENGTH / (LENGTH - 1))).to.be.below(4e-6);
  });

  for (const isCastLate of [false, true]) {
    it(`mergeWrittenGroupNorm replaces a GroupNorm with n ÷ (n − 1) times the variance, n being known at run time${isCastLate ? ', less 1 before the Cast' : ''}`, async () => {
      const model = written({ ...NAMED, variance: correctedAtRun({ isCastLate }) });
      const correction = LENGTH / (LENGTH - 1);
      // By the native kernel, where it is installed.
      expect(await differenceOf(model, false, correction)).to.be.below(4e-6);
      expect(mergeWrittenGroupNorm(model, 'reduce-mean')).to.equal(1);
      expect(model.nodes.map(({ opType }) => opType)).to.not.include('Gather');
      expect(await differenceOf(model, false, correction)).to.be.below(4e-6);
    });
  }

  it('convertModel writes reduce-mean for n ÷ (n − 1) times the variance, whatever lowering is asked for', () => {
    const model = written({ ...NAMED, variance: correctedAtRun() });
    for (const lowering of ['instance-norm', 'layer-norm', 'reduce-mean'] as const) {
      const { replaced, lowerings } = convertModel(model.encode(), { lowering });
      expect([replaced.inlined, lowerings]).to.deep.equal([1, ['reduce-mean']]);
    }
  });

  describeNative('with the native kernel', () => {
    it('a session runs n ÷ (n − 1) times the variance by the kernel, with a residual and Relu behind it', async () => {
      const model = written({
        ...NAMED,
        variance: correctedAtRun(),
        after: (g, y) => g.output('y', op.relu(g, op.add(g, y, g.input('r', 'float32', ['N', 8, 'H', 5])))),
      });
      await using session = await createSession(model.encode(), { providers: ['native'] });
      expect(session.groupNorm).to.equal('kernel');
      const x = randomTensor('float32', [2, 8, 6, 5], { mean: 2 });
      const r = randomTensor('float32', [2, 8, 6, 5], { stream: 'residual' });
      const { y } = await session.run({ x, r });
      const normalized = expected(x, LENGTH / (LENGTH - 1));
      const sum = normalized.map((value, i) => Math.max(0, value + Number(r.data[i])));
      expect(maxAbsDifference(y!, sum)).to.be.below(4e-6);
    });

    it('a session gives NaN for rows of one element, as the division by n − 1 does', async () => {
      const model = written({
        shape: ['N', 2, 'H', 1],
        rows: [0, 2, -1],
        target: [0, 2, -1, 1],
        affine: undefined,
        variance: correctedAtRun(),
      });
      await using session = await createSession(model.encode(), { providers: ['native'] });
      expect(session.groupNorm).to.equal('kernel');
      const { y } = await session.run({ x: randomTensor('float32', [1, 2, 1, 1]) });
      expect([...y!.data]).to.deep.equal([NaN, NaN]);
    });
  });

  it('mergeWrittenGroupNorm keeps a mean that another node reads', () => {
    const model = written({
      after: (g, y, mean) => {
        g.output('y', y);
        g.output('mean', op.relu(g, mean));
      },
    });
    expect(mergeWrittenGroupNorm(model, 'op')).to.equal(1);
    expect(model.nodes.map(({ opType }) => opType)).to.include.members(['ReduceMean', 'Relu']);
  });

  const misses: Record<string, Partial<Parts>> = {
    'the variance is corrected by another number': { variance: corrected(LENGTH, LENGTH - 2) },
    'the variance is corrected by another length': { variance: corrected(LENGTH - 1, LENGTH - 2) },
    'the length of corrected rows is not known': {
      shape: [2, 8, 'H', 5],
      variance: corrected(LENGTH, LENGTH - 1),
    },
    'the variance is corrected by 2 at run time': { ...NAMED, variance: correctedAtRun({ less: 2 }) },
    'the variance is corrected by another size at run time': {
      ...NAMED,
      variance: correctedAtRun({ of: () => [0] }),
    },
    'the exponent is not 2': { square: (g, value) => node(g, 'Pow', [value, constant(g, 3)]) },
    'ε is not a scalar': { epsilon: (g) => weights(g, 'epsilon', [1, GROUPS, 1]) },
    'ε would raise the rank': { epsilon: (g) => constant(g, EPSILON, [1, 1, 1, 1]), affine: undefined },
    'ε is an input': { epsilon: (g) => (g as GraphBuilder).input('epsilon', 'float32', []) },
    'the mean is that of other axes': {
      rows: [2, GROUPS, 4, 30],
      axes: [2, 3],
      mean: (g, rows) => op.reduceMean(g, rows, { axes: [3] }),
    },
    'the rows are normalized along other axes': { rows: [2, 8, 6, 5], axes: [1, 2, 3] },
    'the rows are those of each of two axes': { rows: [2, GROUPS, 4, 30], axes: [3] },
    'the mean is the sum by another number': { mean: sumOver((g) => constant(g, 119)) },
    'the mean is the sum by another size': {
      ...NAMED,
      mean: sumOver((g, rows) => lengthAtRun(g, rows, [0])),
    },
    'the mean is of another value': { mean: (g, rows, axes) => op.reduceMean(g, op.relu(g, rows), { axes }) },
    'the variance is the sum': {
      variance: (g, rows, mean, { square, axes }) =>
        g.node('ReduceSum', [square(g, op.sub(g, rows, mean)), g.constant(int64Vector(axes))], {}, [
          { dtype: 'float32', shape: mean.shape },
        ])[0]!,
    },
    'the variance is that around 0': {
      variance: (g, rows, _, { square, axes }) => op.reduceMean(g, square(g, rows), { axes }),
    },
    'the variance lacks its axis': {
      shape: [2, 4],
      rows: [2, GROUPS, 2],
      target: [2, 4],
      affine: [4],
      variance: (g, rows, mean, { square, axes }) =>
        op.reduceMean(g, square(g, op.sub(g, rows, mean)), { axes, keepdims: false }),
    },
    'two groups of statistics are exchanged': {
      variance: (g, rows, mean, parts) =>
        g.node('Transpose', [meanOfSquares(g, rows, mean, parts)], { perm: ints([1, 0, 2]) }, [
          { dtype: 'float32', shape: mean.shape },
        ])[0]!,
    },
    'the deviation is multiplied': {
      normalize: (g, rows, mean, deviation) => op.mul(g, op.sub(g, rows, mean), deviation),
    },
    'the mean is added': {
      normalize: (g, rows, mean, deviation) => op.div(g, op.add(g, rows, mean), deviation),
    },
    'the quotient is upside down': {
      normalize: (g, rows, mean, deviation) => op.div(g, deviation, op.sub(g, rows, mean)),
    },
    'the offset has another factor': {
      ...KERAS,
      normalize: (g, rows, mean, deviation) => {
        const reciprocal = node(g, 'Reciprocal', [deviation]);
        const factor = op.mul(g, reciprocal, weights(g, 'scale', [1, GROUPS, 4, 1, 1]));
        return op.add(g, op.mul(g, rows, factor), op.mul(g, node(g, 'Neg', [mean]), reciprocal));
      },
    },
    'the offset is not negative': {
      ...KERAS,
      normalize: (g, rows, mean, deviation) => {
        const factor = node(g, 'Reciprocal', [deviation]);
        return op.add(g, op.mul(g, rows, factor), op.mul(g, mean, factor));
      },
    },
    'γ is one number per group': {
      ...KERAS,
      normalize: (g, rows, mean, deviation) => {
        const factor = op.mul(
          g,
          node(g, 'Reciprocal', [deviation]),
          weights(g, 'scale', [1, GROUPS, 1, 1, 1]),
        );
        return op.sub(g, op.mul(g, rows, factor), op.mul(g, mean, factor));
      },
    },
    'γ goes along the width': {
      ...KERAS,
      normalize: (g, rows, mean, deviation) => {
        const factor = op.mul(g, node(g, 'Reciprocal', [deviation]), weights(g, 'scale', [5]));
        return op.sub(g, op.mul(g, rows, factor), op.mul(g, mean, factor));
      },
    },
    'a Cast to integers rounds ε': {
      epsilon: (g) => op.cast(g, op.cast(g, constant(g, 0.5), 'int64'), 'float32'),
    },
    'ε follows from a long chain of Subs, which has more paths than could be walked': {
      epsilon: (g) => {
        let value = constant(g, EPSILON);
        for (let step = 0; step < 60; step++) value = op.sub(g, value, value);
        return value;
      },
    },
    'channels are last and the result divides them otherwise': { ...KERAS_LAST, target: [2, 6, 10, 4] },
    'the result has another batch': { target: [4, 4, 6, 5], affine: undefined },
  };
  for (const [reason, changes] of Object.entries(misses)) {
    it(`mergeWrittenGroupNorm leaves a GroupNorm that is written by hand if ${reason}`, () => {
      expect(mergeWrittenGroupNorm(written(changes), 'reduce-mean')).to.equal(0);
    });
  }

  it('mergeWrittenGroupNorm leaves LayerNormalization that is written by hand, for which ONNX Runtime has a fusion', () => {
    const g = new GraphBuilder('layer norm');
    const x = g.input('x', 'float32', [2, 7, 16]);
    const mean = op.reduceMean(g, x, { axes: [2] });
    const centred = op.sub(g, x, mean);
    const variance = op.reduceMean(g, op.mul(g, centred, centred), { axes: [2] });
    const normed = op.div(g, centred, op.sqrt(g, op.add(g, variance, constant(g, EPSILON))));
    g.output('y', op.add(g, op.mul(g, normed, weights(g, 'scale', [16])), weights(g, 'bias', [16])));
    const model = Model.decode(encodeModel(g.build(), new Map(), { opset: 18 }));
    expect(mergeWrittenGroupNorm(model, 'reduce-mean')).to.equal(0);
  });

  it('mergeWrittenGroupNorm leaves rows whose batch another input gives, though the names of the sizes are equal', () => {
    const model = written({ shape: ['N', 8, 6, 5], rows: [0, GROUPS, -1], target: [0, 8, 6, 5] });
    const message = ModelProto.decode(model.encode());
    const joined = message.graph!.node!.findLast(({ opType }) => opType === 'Reshape')!;
    joined.input![1] = 'target';
    const info = (name: string, elemType: number, dims: readonly (string | number)[]) => ({
      name,
      type: {
        tensorType: {
          elemType,
          shape: {
            dim: dims.map((dim) => (typeof dim === 'string' ? { dimParam: dim } : { dimValue: dim })),
          },
        },
      },
    });
    message.graph!.input!.push(info('z', 1, ['N', 8, 6, 5]));
    message.graph!.node!.unshift({ opType: 'Shape', name: 'shape', input: ['z'], output: ['target'] });
    expect(mergeWrittenGroupNorm(Model.decode(ModelProto.encode(message).finish()), 'reduce-mean')).to.equal(
      0,
    );
    message.graph!.node![0]!.input = ['x'];
    expect(mergeWrittenGroupNorm(Model.decode(ModelProto.encode(message).finish()), 'reduce-mean')).to.equal(
      1,
    );
  });
});
