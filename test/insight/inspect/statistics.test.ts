import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { castTensor, toFloat64Array } from '../../../lib/half.js';
import { inspectModel } from '../../../lib/insight/node.js';
import type { Normalization } from '../../../lib/insight/inspect/types.js';
import type { LoweringName } from '../../../lib/lowering/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { ATTRIBUTE_TYPE, ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { encodeTensor } from '../../../lib/onnx/protobuf/tensors.js';
import { encodeValueInfo } from '../../../lib/onnx/graph/value-info.js';
import { type FloatDType, type Shape, tensor, type TensorData } from '../../../lib/tensor.js';
import { exportedModel } from '../../support/exported-model.js';
import { groupNormModel, randomTensor, referenceGroupNorm, runModel } from '../../support/group-norm.js';
import { instanceNormModel } from '../../support/old-models.js';
import { expectFigures, figuresOf, ROW_EPSILON as EPSILON, rowsOf } from '../../support/row-figures.js';
import { rejection } from '../../support/temporary.js';

/** (2, 8, 6, 5), with a mean of 3 and a deviation of 2. */
const X = randomTensor('float32', [2, 8, 6, 5], { mean: 3, deviation: 2 });

/** Returns the only row of a model that was run. */
async function measured(model: Uint8Array, x: TensorData): Promise<Normalization> {
  const { normalizations } = await inspectModel(model, { feeds: { x } });
  expect(normalizations).to.have.length(1);
  return normalizations[0]!;
}

function modelOf(
  make: (g: GraphBuilder, x: Value) => Value,
  shape: Shape,
  lowering: LoweringName = 'op',
  dtype: FloatDType = 'float32',
): Uint8Array {
  const g = new GraphBuilder('test');
  g.output('y', make(g, g.input('x', dtype, shape)));
  return encodeModel(g.build(), new Map(), { opset: 21, lowering });
}

const groupNorm = (lowering: LoweringName, dtype: FloatDType = 'float32') =>
  modelOf(
    (g, x) => op.groupNormalization(g, x, undefined, undefined, { numGroups: 4, epsilon: EPSILON }),
    ['N', 8, 'H', 'W'],
    lowering,
    dtype,
  );

function written(g: GraphBuilder, x: Value): Value {
  const rows = op.reshape(g, x, [2, 4, -1]);
  const centred = op.sub(g, rows, op.reduceMean(g, rows, { axes: [2] }));
  const variance = op.reduceMean(g, op.mul(g, centred, centred), { axes: [2] });
  const epsilon = g.constant(tensor('float32', [], Float32Array.of(EPSILON)));
  const normalized = op.div(g, centred, op.sqrt(g, op.add(g, variance, epsilon)));
  return op.reshape(g, normalized, [2, 8, 6, 5]);
}

/** com.microsoft.GroupNorm of (N, H, W, C). */
function channelsLastModel(dims: readonly number[]): Uint8Array {
  const attribute = [
    { name: 'groups', type: ATTRIBUTE_TYPE.INT, i: 4 },
    { name: 'epsilon', type: ATTRIBUTE_TYPE.FLOAT, f: EPSILON },
  ];
  const node = {
    opType: 'GroupNorm',
    domain: 'com.microsoft',
    input: ['x', 'ones', 'zeros'],
    output: ['y'],
    attribute,
  };
  const filled = (name: string, mean: number) =>
    encodeTensor(name, randomTensor('float32', [8], { mean, deviation: 0 }));
  const value = (name: string) => encodeValueInfo({ name, dtype: 'float32', shape: dims });
  return ModelProto.encode({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'test',
      node: [node],
      input: [value('x')],
      output: [value('y')],
      initializer: [filled('ones', 1), filled('zeros', 0)],
    },
  }).finish();
}

describe('inspectModel with feeds', () => {
  const ofGroups = figuresOf(rowsOf(toFloat64Array(X), 2 * 4));
  const forms: Record<string, Uint8Array> = {
    'the operator': groupNorm('op'),
    "PyTorch's export below opset 21": exportedModel({ x: X, numGroups: 4, eps: EPSILON }, 17),
    'arithmetic': modelOf(written, [2, 8, 6, 5]),
    'reduce-mean': groupNorm('reduce-mean'),
    'instance-norm': groupNorm('instance-norm'),
    'layer-norm': groupNorm('layer-norm'),
  }; // prettier-ignore
  for (const [name, model] of Object.entries(forms))
    it(`inspectModel measures the rows of GroupNorm as ${name}`, async () => {
      const { statistics } = await measured(model, X);
      expectFigures(statistics, ofGroups);
    });

  it('inspectModel measures the channels of InstanceNormalization', async () => {
    const { statistics } = await measured(
      instanceNormModel({ x: X, numGroups: 8, eps: EPSILON }, [2, 8, 6, 5]),
      X,
    );
    expectFigures(statistics, figuresOf(rowsOf(toFloat64Array(X), 2 * 8)));
  });

  it('inspectModel measures the rows of LayerNormalization', async () => {
    const model = modelOf(
      (g, x) =>
        op.layerNormalization(g, x, g.constant(randomTensor('float32', [6, 5])), undefined, {
          axis: 2,
          epsilon: EPSILON,
        }),
      ['N', 8, 6, 5],
    );
    expectFigures((await measured(model, X)).statistics, figuresOf(rowsOf(toFloat64Array(X), 2 * 8)));
  });

  it('inspectModel measures groups of channels that are last', async () => {
    const x = { ...X, dims: [2, 6, 5, 8] };
    const all = [...toFloat64Array(x)];
    // Element (n, h, w, c) is of group c / 2.
    const rows = [0, 1].flatMap((n) =>
      [0, 1, 2, 3].map((group) =>
        all.filter((_, i) => Math.floor(i / 240) === n && Math.floor((i % 8) / 2) === group),
      ),
    );
    expectFigures((await measured(channelsLastModel(x.dims), x)).statistics, figuresOf(rows));
  });

  for (const dtype of ['float16', 'bfloat16', 'float64'] as const)
    it(`inspectModel measures inputs of ${dtype}`, async () => {
      const x = castTensor(X, dtype);
      const { statistics } = await measured(groupNorm('op', dtype), x);
      expectFigures(statistics, figuresOf(rowsOf(toFloat64Array(x), 2 * 4)));
      expect(statistics!.inlinedToleranceUsed).to.be.below(1);
    });

  for (const mean of [1, 1e2, 1e4])
    it(`inspectModel says how far ONNX Runtime's inlined GroupNormalization is off at a mean of ${mean} deviations`, async () => {
      const norm = { x: randomTensor('float32', [2, 8, 32, 32], { mean }), numGroups: 4, eps: 1e-5 };
      const model = groupNormModel(norm, { lowering: 'op', opset: 21 });
      const y = toFloat64Array(await runModel(model, norm.x, { providers: ['cpu'], groupNorm: 'op' }));
      const error = referenceGroupNorm(norm).reduce(
        (most, expected, i) => Math.max(most, Math.abs(y[i]! - expected)),
        0,
      );
      const { statistics, warnings } = await measured(model, norm.x);
      expect(statistics!.meanToDeviation).to.be.within(0.9 * mean, 1.2 * mean);
      if (Number.isNaN(error)) expect(statistics!.inlinedError).to.be.NaN;
      else expect(statistics!.inlinedError).to.be.closeTo(error, 1e-4 * error);
      const isRight = mean === 1;
      expect(statistics!.inlinedToleranceUsed <= 1).to.equal(isRight);
      expect(warnings[0]).to.match(isRight ? /is right for this input/ : /is (wrong|NaN) for this input/);
    });

  it('inspectModel measures the rows without NaN and infinities, and says how many have some', async () => {
    const x = { ...X, data: X.data.slice() };
    x.data[0] = NaN;
    x.data[479] = -Infinity;
    const { statistics, warnings } = await measured(groupNorm('op'), x);
    const rows = rowsOf(toFloat64Array(X), 8).slice(1, -1);
    expectFigures(statistics, { ...figuresOf(rows), rows: 8 });
    expect(statistics!.notFinite).to.equal(2);
    expect(warnings.at(-1)).to.equal('2 of 8 rows have NaN or an infinity in this run, and no statistics');
    const none = await measured(groupNorm('op'), { ...X, data: new Float32Array(480).fill(NaN) });
    expect(none.statistics).to.equal(undefined);
    expect(none.warnings.at(-1)).to.include('every row of its input has NaN or an infinity');
  });

  it('inspectModel takes the epsilon for the deviation of rows of equal numbers', async () => {
    const constant = { ...X, data: new Float32Array(480).fill(2) };
    const { statistics } = await measured(groupNorm('op'), constant);
    expect(statistics!.meanToDeviation).to.be.closeTo(2 / Math.sqrt(EPSILON), 1e-4);
    const zeros = { ...X, data: new Float32Array(480) };
    expect((await measured(groupNorm('op'), zeros)).statistics).to.include({
      meanToDeviation: 0,
      inlinedError: 0,
    });
  });

  it('inspectModel says why it has no statistics: no elements, or an input that cannot be read', async () => {
    const empty = await measured(groupNorm('op'), tensor('float32', [0, 8, 6, 5], new Float32Array(0)));
    expect(empty.statistics).to.equal(undefined);
    expect(empty.warnings.at(-1)).to.equal(
      'no statistics of this run: its input has no elements in this run',
    );
    const constant = modelOf(
      (g, x) =>
        op.add(
          g,
          x,
          op.layerNormalization(
            g,
            g.constant(randomTensor('float32', [4])),
            g.constant(randomTensor('float32', [4])),
            undefined,
            {},
          ),
        ),
      [4],
    );
    const weight = await measured(constant, randomTensor('float32', [4]));
    expect(weight.warnings.at(-1)).to.include('cannot be read: it is a weight');
  });

  it('inspectModel without feeds runs nothing, and with feeds names the provider', async () => {
    const unmeasured = await inspectModel(groupNorm('op'));
    expect(unmeasured).to.have.keys('model', 'normalizations');
    expect(unmeasured.normalizations[0]).not.to.have.property('statistics');
    const { provider } = await inspectModel(groupNorm('op'), {
      feeds: { x: X },
      session: { providers: ['wasm'] },
    });
    expect(provider).to.equal('wasm');
  });

  it('inspectModel passes the errors of a run on', async () => {
    const error = await rejection(inspectModel(groupNorm('op'), { feeds: {} }));
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'INPUT_MISSING');
  });

  it('inspectModel warns of float16 sums that overflow: by the elements of a row, or by the numbers of a run', async () => {
    const model = (shape: Shape) =>
      modelOf(
        (g, x) => op.groupNormalization(g, x, undefined, undefined, { numGroups: 4 }),
        shape,
        'op',
        'float16',
      );
    const overflow = (row: Normalization) => row.warnings.find((text) => text.includes('float16'));
    const [large, small] = [
      [1, 8, 256, 256],
      [1, 8, 8, 8],
    ];
    const static_ = async (shape: Shape) => overflow((await inspectModel(model(shape))).normalizations[0]!);
    // A row has 2 · 256² elements: √(65504 / 131072) is 0.71.
    expect(await static_(large)).to.include(
      'overflows from a deviation of 0.71 on: a row has 131,072 elements',
    );
    expect(await static_(small)).to.equal(undefined);
    // 128 elements with a deviation of 32 have squares that add up to about 131,072; with a deviation of 8 to 8,192.
    const x = (deviation: number) => randomTensor('float16', small, { deviation });
    expect(overflow(await measured(model(small), x(32)))).to.match(
      /overflows for this input, where \(x − mean\)² of a row adds up to 1\d{5}/,
    );
    expect(overflow(await measured(model(small), x(8)))).to.equal(undefined);
  });
});
