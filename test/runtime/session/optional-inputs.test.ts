import { expect } from 'chai';
import { describe, it } from 'mocha';
import { castTensor } from '../../../lib/half.js';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { int64Vector, tensor, type TensorData } from '../../../lib/tensor.js';
import { exportedModel } from '../../support/exported-model.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { withInitializersAsInputs } from '../../support/optional-inputs.js';
import { rejection } from '../../support/temporary.js';

const filled = (value: number): TensorData => randomTensor('float32', [8], { mean: value, deviation: 0 });
const CASE: GroupNormCase = {
  x: randomTensor('float32', [2, 8, 6, 5], { mean: 100, deviation: 0.5 }),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: Math.fround(1e-5),
};
const OTHER: GroupNormCase = {
  ...CASE,
  scale: randomTensor('float32', [8], { stream: 'other scale' }),
  bias: randomTensor('float32', [8], { stream: 'other bias' }),
};

/** Results of up to 10: what torch.testing.assert_close allows of them. */
const TOLERANCE = 1e-5 + 1.3e-5;

/** The kernel; onnxruntime-node; onnxruntime-web. */
const WAYS: Readonly<Record<string, SessionOptions>> = {
  native: { providers: ['native'] },
  'cpu, as reduce-mean': { providers: ['cpu'], groupNorm: 'reduce-mean' },
  wasm: { providers: ['wasm'] },
};

for (const [way, options] of Object.entries(WAYS)) {
  describe(`optional inputs on ${way}`, () => {
    it('a session lists initializers that are inputs as optional, and takes other values for them', async () => {
      const model = withInitializersAsInputs(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
      await using session = await createSession(model, options);
      const listed = session.inputs.map(({ name, dtype, shape, optional = false }) => [
        name,
        dtype,
        shape,
        optional,
      ]);
      expect(listed.slice(1)).to.deep.equal([
        ['weight', 'float32', [8], true],
        ['bias', 'float32', [8], true],
      ]);
      expect(listed[0]).to.include.members(['x', false]);
      const { x, scale: weight, bias } = OTHER;
      const runs = [
        [{ x }, CASE],
        [
          { x, weight: weight! },
          { ...CASE, scale: weight },
        ],
        [
          { x, bias: bias! },
          { ...CASE, bias },
        ],
        [{ x, weight: weight!, bias: bias! }, OTHER],
        [{ x, weight: undefined }, CASE],
      ] as unknown as [Record<string, TensorData>, GroupNormCase][];
      for (const [feeds, expected] of runs) {
        const { y } = await session.run(feeds);
        expect(maxAbsDifference(y!, referenceGroupNorm(expected))).to.be.below(TOLERANCE);
      }
    });

    it('an override counts where the default would change nothing: a scale of ones, a bias of zeros', async () => {
      const neutral = { ...CASE, scale: filled(1), bias: filled(0) };
      const model = withInitializersAsInputs(groupNormModel(neutral, { lowering: 'op', opset: 21 }));
      await using session = await createSession(model, options);
      const { y } = await session.run({ x: CASE.x, weight: CASE.scale!, bias: CASE.bias! });
      expect(maxAbsDifference(y!, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    });

    it(`values of optional inputs reach the weights, the target of Reshape and the ones and zeros of PyTorch's export on ${way}`, async () => {
      const near = { ...CASE, x: randomTensor('float32', CASE.x.dims) };
      const model = withInitializersAsInputs(exportedModel(near, 17), { vectorDim: 'G' });
      const { graph } = ModelProto.decode(model);
      const [split, norm, , , mul, add] = graph!.node!;
      await using session = await createSession(model, options);
      const column = (one: TensorData) => ({ ...one, dims: [8, 1, 1] });
      const ofTwo = (value: number) => tensor('float32', [2], Float32Array.of(value, value));
      expect([split, norm, mul, add].map((node) => node!.opType)).to.deep.equal([
        'Reshape',
        'InstanceNormalization',
        'Mul',
        'Add',
      ]);
      const { y } = await session.run({ x: near.x });
      expect(maxAbsDifference(y!, referenceGroupNorm(near))).to.be.below(TOLERANCE);
      const two = await session.run({
        x: near.x,
        [mul!.input![1]!]: column(OTHER.scale!),
        [add!.input![1]!]: column(OTHER.bias!),
        [split!.input![1]!]: int64Vector([0, 2, -1]),
        [norm!.input![1]!]: ofTwo(1),
        [norm!.input![2]!]: ofTwo(0),
      });
      const expected = referenceGroupNorm({ ...OTHER, x: near.x, numGroups: 2 });
      expect(maxAbsDifference(two.y!, expected)).to.be.below(TOLERANCE);
    });

    it(`bfloat16 values of optional inputs are taken as bfloat16 on ${way}`, async () => {
      const narrow = (one: TensorData | undefined) => one && castTensor(one, 'bfloat16');
      const one = { ...CASE, x: narrow(CASE.x)!, scale: narrow(CASE.scale), bias: narrow(CASE.bias) };
      const model = withInitializersAsInputs(groupNormModel(one, { lowering: 'op', opset: 22 }));
      await using session = await createSession(model, options);
      expect(session.inputs.map(({ dtype }) => dtype)).to.deep.equal(['bfloat16', 'bfloat16', 'bfloat16']);
      const scale = narrow(OTHER.scale)!;
      const { y } = await session.run({ x: one.x, weight: scale });
      expect(maxAbsDifference(y!, referenceGroupNorm({ ...one, scale }))).to.be.below(6e-2);
    });

    it('an override of a wrong shape, dtype or kind is refused by name', async () => {
      const model = withInitializersAsInputs(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
      await using session = await createSession(model, options);
      const { x } = CASE;
      const wrong: [unknown, string, RegExp][] = [
        [
          tensor('float32', [2], new Float32Array(2)),
          'INPUT_SHAPE',
          /'weight' has shape \[2\].*\(optional\)/,
        ],
        [castTensor(CASE.scale!, 'float64'), 'INPUT_DTYPE', /'weight' is float64/],
        [new Float32Array(8), 'INPUT_DTYPE', /'weight' is not a tensor/],
      ];
      for (const [weight, code, words] of wrong) {
        const error = await rejection(session.run({ x, weight: weight as TensorData }));
        expect(error).to.have.property('code', code);
        expect((error as Error).message).to.match(words);
      }
    });

    it(`optional inputs are constants up to version 3 of the file format on ${way}`, async () => {
      const model = withInitializersAsInputs(groupNormModel(CASE, { lowering: 'op', opset: 21 }), {
        irVersion: 3,
      });
      await using session = await createSession(model, options);
      expect(session.inputs.map(({ name }) => name)).to.deep.equal(['x']);
      const { y } = await session.run({ x: CASE.x });
      expect(maxAbsDifference(y!, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
      expect(await rejection(session.run({ x: CASE.x, weight: CASE.scale! }))).to.have.property(
        'code',
        'INPUT_UNKNOWN',
      );
    });

    it(`several runs with values of optional inputs may be under way at once on ${way}, and dispose waits for them`, async () => {
      const model = withInitializersAsInputs(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
      const session = await createSession(model, options);
      const { x, scale: weight } = OTHER;
      const runs = [{ x }, { x, weight: weight! }, { x, weight: weight! }].map((feeds) => session.run(feeds));
      await session.dispose();
      const [plain, ...others] = await Promise.all(runs);
      expect(maxAbsDifference(plain!.y!, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
      const expected = referenceGroupNorm({ ...CASE, scale: weight });
      for (const { y } of others) expect(maxAbsDifference(y!, expected)).to.be.below(TOLERANCE);
    });
  });
}

describe('Model.constant', () => {
  it('Model.constant does not return the default value of an input', () => {
    const bytes = groupNormModel(CASE, { lowering: 'op', opset: 21 });
    const isInput = ({ name }: { name?: string | null }) => name === 'weight';
    const model = Model.decode(withInitializersAsInputs(bytes, { isInput }));
    expect(model.constant('weight')).to.equal(undefined);
    expect(model.typeOf('weight')).to.deep.equal({ dtype: 'float32', shape: [8] });
    expect(model.constant('bias')!.data).to.deep.equal(CASE.bias!.data);
    expect([model.inputNames, model.optionalInputs.map(({ name }) => name)]).to.deep.equal([
      ['x'],
      ['weight'],
    ]);
  });
});
