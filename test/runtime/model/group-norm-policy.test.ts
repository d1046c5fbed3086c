import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { SessionLoweringName } from '../../../lib/lowering/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { GROUP_NORM_CHOICES, type GroupNormChoice } from '../../../lib/runtime/model/group-norm-policy.js';
import { prepareModel } from '../../../lib/runtime/model/prepare.js';
import { type FloatDType, tensor, type TensorData } from '../../../lib/tensor.js';
import { groupNormModel, randomTensor, referenceGroupNorm, runModel } from '../../support/group-norm.js';

const CUDA = { provider: 'cuda', hasGroupNormKernel: false, takesBfloat16: false } as const;
const CHOICE: GroupNormChoice = { groupNorm: 'contrib-group-norm', because: 'a test' };

/** A model with one norm for each dtype, one after the other. */
function model(...dtypes: readonly FloatDType[]): Uint8Array {
  const g = new GraphBuilder('dtypes');
  dtypes.forEach((dtype, index) => {
    const x = g.input(`x${index}`, dtype, [1, 8, 64, 64]);
    g.output(`y${index}`, op.groupNormalization(g, x, undefined, undefined, { numGroups: 4 }));
  });
  return encodeModel(g.build(), new Map(), { lowering: 'op', opset: 21 });
}

const contribNodes = (bytes: Uint8Array): number =>
  Model.decode(bytes).nodes.filter(({ domain }) => domain === 'com.microsoft').length;

describe('the table of how GroupNormalization runs', () => {
  it('GROUP_NORM_CHOICES has reduce-mean for every provider but native, because nothing better was measured', () => {
    for (const [provider, { groupNorm }] of Object.entries(GROUP_NORM_CHOICES)) {
      expect([provider, groupNorm]).to.deep.equal([
        provider,
        provider === 'native' ? 'kernel' : 'reduce-mean',
      ]);
    }
  });

  it('a GroupNormChoice decides how a node is rewritten', () => {
    const { bytes, groupNorm } = prepareModel(model('float32'), 'model', undefined, undefined, CUDA, CHOICE);
    expect([groupNorm, contribNodes(bytes)]).to.deep.equal(['contrib-group-norm', 1]);
  });

  it('a GroupNormChoice gives way to the groupNorm option', () => {
    const { bytes, groupNorm } = prepareModel(
      model('float32'),
      'model',
      undefined,
      'instance-norm',
      CUDA,
      CHOICE,
    );
    expect([groupNorm, contribNodes(bytes)]).to.deep.equal(['instance-norm', 0]);
  });

  it('a session reports mixed if not every node can run as asked', () => {
    const ways = [['float32'], ['float64'], ['float32', 'float64']] as const;
    const prepared = ways.map((dtypes) =>
      prepareModel(model(...dtypes), 'model', undefined, 'instance-norm', CUDA),
    );
    expect(prepared.map(({ groupNorm }) => groupNorm)).to.deep.equal([
      'instance-norm',
      'reduce-mean',
      'mixed',
    ]);
  });

  it('a GroupNormChoice may leave no LayerNormalization to a kernel that is wrong, unless the groupNorm option names it', () => {
    const g = new GraphBuilder('short');
    const x = g.input('x', 'float32', [1, 4, 5]);
    const ones = g.constant(tensor('float32', [5], new Float32Array(5).fill(1)));
    g.output('y', op.layerNormalization(g, x, ones, undefined, { axis: -1 }));
    const bytes = encodeModel(g.build(), new Map());
    const isLeft = (groupNorm: SessionLoweringName | undefined, choice: GroupNormChoice) => {
      const prepared = prepareModel(bytes, 'model', undefined, groupNorm, CUDA, choice);
      return Model.decode(prepared.bytes).nodes.some(({ opType }) => opType === 'LayerNormalization');
    };
    expect(isLeft(undefined, CHOICE)).to.equal(true);
    expect(isLeft(undefined, { ...CHOICE, hasLayerNormKernel: false })).to.equal(false);
    expect(isLeft('layer-norm', { ...CHOICE, hasLayerNormKernel: false })).to.equal(true);
  });
});

describe('GroupNormalization on wasm, which adds up a row in one float32,', () => {
  for (const [dims, numGroups] of [
    [[2, 32, 16, 16], 8],
    [[1, 2, 64, 1024], 1],
    [[1, 2, 1024, 8], 1],
    [[1, 2, 1024], 2],
    [[1, 2, 997], 2],
  ] as const) {
    for (const shape of [dims, ['N', dims[1], ...['H', 'W'].slice(0, dims.length - 2)]]) {
      it(`GroupNormalization on wasm is within assert_close's tolerance for ${dims.join('×')} after a ReLU, declared as ${shape.join('×')}`, async () => {
        const groupNorm = { x: afterRelu(dims), numGroups, eps: 1e-5 };
        const model = groupNormModel(groupNorm, { lowering: 'op', opset: 21, shape });
        const y = await runModel(model, groupNorm.x, { providers: ['wasm'] });
        const expected = referenceGroupNorm(groupNorm);
        const excess = expected.map(
          (value, i) => Math.abs(value - Number(y.data[i])) / (1e-5 + 1.3e-6 * Math.abs(value)),
        );
        expect(excess.reduce((worst, one) => Math.max(worst, one))).to.be.below(1);
      });
    }
  }
});

/** Returns a tensor of which five elements in six are 0: their squares about the mean are one number. */
function afterRelu(dims: readonly number[]): TensorData {
  const { data } = randomTensor('float32', dims, { mean: -1 });
  return tensor(
    'float32',
    dims,
    data.map((value) => Math.max(value, 0)),
  );
}
