import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { inspectModel } from '../../../lib/insight/node.js';
import type { LoweringName } from '../../../lib/lowering/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { convertModel } from '../../../lib/rewrite/convert.js';
import type { FloatDType, Shape } from '../../../lib/tensor.js';
import { exportedModel } from '../../support/exported-model.js';
import { randomTensor } from '../../support/group-norm.js';

const LOWERINGS = ['reduce-mean', 'instance-norm', 'layer-norm'] as const;
const DTYPES = ['float32', 'float16', 'bfloat16', 'float64'] as const;
/** Groups, and a shape of 8 channels. 1,031 is a prime: its rows cannot be split. */
const CASES: readonly (readonly [numGroups: number, shape: Shape])[] = [
  [4, [2, 8, 6, 5]],
  [4, ['N', 8, 'H', 'W']],
  [4, ['N', 8, 'L']],
  [4, [2, 8]],
  [1, [2, 8, 64, 64]],
  [8, [2, 8, 6, 5]],
  [8, ['N', 8, 'H', 'W']],
  [2, [2, 8, 1031]],
];

interface Written {
  readonly lowering: LoweringName;
  readonly opset: number;
  readonly dtype: FloatDType;
  readonly numGroups: number;
  readonly shape: Shape;
  readonly isAffine: boolean;
}

/** GroupNorm of a sum with a Relu behind it, written as a lowering. */
function modelOf({ lowering, opset, dtype, numGroups, shape, isAffine }: Written): Uint8Array {
  const g = new GraphBuilder('test');
  const x = g.input('x', dtype, shape);
  const parameter = (stream: string) =>
    isAffine ? g.constant(randomTensor(dtype, [8], { stream })) : undefined;
  const options = { numGroups, epsilon: 1e-3 };
  const norm = op.groupNormalization(g, op.add(g, x, x), parameter('scale'), parameter('bias'), options);
  g.output('y', op.relu(g, norm));
  return encodeModel(g.build(), new Map(), { opset, lowering });
}

describe('GroupNorm that a lowering has written', () => {
  for (const lowering of LOWERINGS) {
    for (const dtype of DTYPES) {
      it(`inspectModel finds it as one row: ${lowering}, ${dtype}`, async () => {
        for (const [index, [numGroups, shape]] of CASES.entries()) {
          const opset = index % 2 === 0 ? 21 : lowering === 'layer-norm' ? 17 : 13;
          const isAffine = index % 3 !== 0;
          const written = { lowering, opset, dtype, numGroups, shape, isAffine };
          const { normalizations } = await inspectModel(modelOf(written));
          expect(normalizations, JSON.stringify(written)).to.have.length(1);
          const { epsilon, ...row } = normalizations[0]!;
          expect(row, JSON.stringify(written)).to.deep.include({
            name: '/GroupNormalization',
            operator: 'GroupNormalization',
            form: 'lowered',
            shape,
            dtype,
            groups: numGroups,
            channels: 8,
            affine: isAffine,
            activation: 'relu',
          });
          expect(epsilon).to.be.closeTo(1e-3, 1e-9);
        }
      });
    }
  }

  it('inspectModel says how sessions run it: reduce-mean as it is, and the operators in the others as they run operators', async () => {
    const shape = [2, 8, 64, 64];
    const providersOf = async (lowering: LoweringName) => {
      const model = modelOf({
        lowering,
        opset: 17,
        dtype: 'float32',
        numGroups: 8,
        shape,
        isAffine: true,
      });
      return (await inspectModel(model)).normalizations[0]!.providers;
    };
    expect(await providersOf('reduce-mean')).to.include({ native: 'reduce-mean', cpu: 'reduce-mean' });
    expect(await providersOf('instance-norm')).to.include({ native: 'kernel', cpu: 'reduce-mean' });
    // Rows of 4,096 elements are too long for ONNX Runtime's LayerNormalization.
    expect(await providersOf('layer-norm')).to.include({ native: 'kernel', cpu: 'reduce-mean' });
  });

  for (const lowering of LOWERINGS)
    it(`inspectModel finds what convertModel has written as ${lowering}`, async () => {
      const norm = {
        x: randomTensor('float32', [2, 8, 6, 5]),
        scale: randomTensor('float32', [8], { stream: 'scale' }),
        bias: randomTensor('float32', [8], { stream: 'bias' }),
        numGroups: 4,
        eps: 1e-3,
      };
      for (const shape of [norm.x.dims, ['N', 8, 'H', 'W']]) {
        const { normalizations } = await inspectModel(
          convertModel(exportedModel(norm, 17, shape), { lowering }).bytes,
        );
        expect(normalizations).to.have.length(1);
        expect(normalizations[0]).to.deep.include({
          form: 'lowered',
          groups: 4,
          channels: 8,
          affine: true,
          shape,
        });
      }
    });

  it('inspectModel finds the LayerNormalization of long rows that convertModel has written as reduce-mean', async () => {
    for (const shape of [
      [2, 5, 7, 2000],
      ['B', 'S', 2000],
      [5, 2000],
    ]) {
      const g = new GraphBuilder('test');
      const [scale, bias] = ['scale', 'bias'].map((stream) =>
        g.constant(randomTensor('float32', [2000], { stream })),
      );
      const norm = op.layerNormalization(g, g.input('x', 'float32', shape), scale!, bias, {
        axis: -1,
        epsilon: 1e-3,
      });
      g.output('y', op.relu(g, norm));
      const { normalizations } = await inspectModel(
        convertModel(encodeModel(g.build(), new Map(), { opset: 17 })).bytes,
      );
      expect(normalizations).to.have.length(1);
      const expected = {
        operator: 'LayerNormalization',
        form: 'lowered',
        shape,
        groups: undefined,
        affine: true,
        activation: 'relu',
      };
      expect(normalizations[0]).to.deep.include(expected);
    }
  });

  it('inspectModel takes values that are centred by the mean of another value for what they are', async () => {
    const g = new GraphBuilder('test');
    const [x, z] = [g.input('x', 'float32', [2, 4, 30]), g.input('z', 'float32', [2, 4, 30])];
    const centred = op.sub(g, x, op.reduceMean(g, z, { axes: [2] }));
    const parameter = (mean: number) => g.constant(randomTensor('float32', [4], { mean, deviation: 0 }));
    g.output('y', op.instanceNormalization(g, centred, parameter(1), parameter(0), {}));
    const { normalizations } = await inspectModel(encodeModel(g.build(), new Map(), { opset: 17 }));
    expect(normalizations).to.have.length(1);
    expect(normalizations[0]).to.include({ operator: 'InstanceNormalization', form: 'operator' });
  });
});
