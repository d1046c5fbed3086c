import { expect } from 'chai';
import { it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { prepareModel } from '../../../lib/runtime/model/prepare.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type FloatDType, int64Vector } from '../../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../../support/group-norm.js';
import { describeNative } from '../../support/native.js';

const KERNEL = { provider: 'native', hasGroupNormKernel: true, takesBfloat16: true } as const;
const operators = (model: Uint8Array) => {
  const prepared = prepareModel(model, 'model', undefined, undefined, KERNEL);
  return { ...prepared, types: Model.decode(prepared.bytes).nodes.map(({ opType }) => opType) };
};

describeNative('normalizations of long rows, with the kernel', () => {
  const cases: [FloatDType, number][] = [
    ['float32', 2e-6],
    ['float64', 1e-12],
  ];
  for (const lowering of ['instance-norm', 'layer-norm'] as const) {
    for (const [dtype, tolerance] of cases) {
      for (const opset of [17, 21]) {
        it(`the kernel runs ${lowering} in ${dtype} at opset ${opset} as long rows`, async () => {
          const x = randomTensor(dtype, [1, 4, 100, 200], { mean: 30 });
          const options = { x, numGroups: 2, eps: 2 ** -17 };
          const model = groupNormModel(options, { lowering, opset });
          const y = await runModel(model, x, { providers: ['native'] });
          expect(maxAbsDifference(y, referenceGroupNorm(options))).to.be.below(tolerance);
          if (dtype === 'float32' || lowering === 'instance-norm') {
            expect(operators(model).types).to.include('FusedGroupNormalization');
          }
        });
      }
    }
  }

  it('a session of long rows does not say that the model had a GroupNormalization', () => {
    const x = randomTensor('float32', [1, 4, 100, 200]);
    const model = groupNormModel({ x, numGroups: 4, eps: 1e-5 }, { lowering: 'instance-norm', opset: 21 });
    expect(operators(model).groupNorm).to.equal(undefined);
  });

  it('the kernel runs InstanceNormalization of unknown rank, of which the model declares only its inputs', async () => {
    const g = new GraphBuilder('unknown rank');
    const [x, sizes] = [g.input('x', 'float32', ['N', 2, 'L']), g.input('sizes', 'int64', ['R'])];
    const expanded = op.expand(g, x, sizes, { outputShape: ['N', 2, 'L'] });
    const filled = (value: number) => g.constant(randomTensor('float32', [2], { mean: value, deviation: 0 }));
    g.output('y', op.instanceNormalization(g, expanded, filled(1.5), filled(-1)));
    const message = ModelProto.decode(encodeModel(g.build(), new Map(), { opset: 17 }));
    message.graph!.valueInfo = [];
    const model = ModelProto.encode(message).finish();
    expect(operators(model).types).to.include('FusedGroupNormalization');
    const session = await createSession(model, { providers: ['native'] });
    const feeds = {
      x: randomTensor('float32', [1, 2, 5000], { mean: 30 }),
      sizes: int64Vector([1, 2, 5000]),
    };
    const { y } = await session.run(feeds);
    const expected = referenceGroupNorm({ x: feeds.x, numGroups: 2, eps: Math.fround(1e-5) });
    expect(
      maxAbsDifference(
        y!,
        expected.map((value) => 1.5 * value - 1),
      ),
    ).to.be.below(4e-6);
    await session.dispose();
  });
});
