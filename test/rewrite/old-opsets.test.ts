/** Models of opset 6 to 12: sessions and `convert` rewrite their normalizations as those of later opsets. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { castTensor } from '../../lib/half.js';
import type { SessionLoweringName } from '../../lib/lowering/types.js';
import { Model } from '../../lib/onnx/model.js';
import { ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import type { Provider } from '../../lib/runtime/core/contract.js';
import { openSession } from '../../lib/runtime/session/open.js';
import { NODE } from '../../lib/runtime/node.js';
import { cpuBackend } from '../../lib/runtime/ort-node/model.js';
import { type FloatDType, type Shape, tensor } from '../../lib/tensor.js';
import { exportedModel } from '../support/exported-model.js';
import {
  type GroupNormCase,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../support/group-norm.js';
import { NATIVE_REASON } from '../support/native.js';
import { atOpset, instanceNormModel } from '../support/old-models.js';
import { runPlain } from '../support/plain-runtime.js';

/** `cpu` is onnxruntime-node, as where the addon is not installed. */
const PLAIN = { ...NODE, backends: { ...NODE.backends, cpu: [cpuBackend] } };
const PROVIDERS: readonly Provider[] =
  NATIVE_REASON === undefined ? ['native', 'cpu', 'wasm'] : ['cpu', 'wasm'];
const OPSETS = [6, 7, 8, 9, 10, 11, 12];

/** What `torch.testing.assert_close` allows of results of up to 10. */
const TOLERANCE = 1e-5 + 1.3e-5;

const DIMS = [2, 8, 24, 25];
const SHAPES: readonly Shape[] = [DIMS, ['N', 8, 'H', 'W']];
const BY_CHANNEL = caseOf(8);
const BY_GROUP = caseOf(4);

/** Far from 0, where ONNX Runtime's own kernel is off by 1e-3 and more. */
function caseOf(
  numGroups: number,
  dtype: FloatDType = 'float32',
  dims: readonly number[] = DIMS,
): GroupNormCase {
  const [scale, bias] = ['scale', 'bias'].map((stream) =>
    castTensor(randomTensor('float32', [8], { stream }), dtype),
  );
  const x = castTensor(randomTensor('float32', dims, { mean: 1000, deviation: 0.1 }), dtype);
  return { x, scale, bias, numGroups, eps: Math.fround(1e-5) };
}

const exported = (one: GroupNormCase, opset: number, shape: Shape): Uint8Array =>
  atOpset(exportedModel(one, 13, shape), opset);
const instanceNorm = (one: GroupNormCase, opset: number, shape: Shape): Uint8Array =>
  atOpset(instanceNormModel(one, shape), opset);

const open = (bytes: Uint8Array, provider: Provider, groupNorm?: SessionLoweringName) =>
  openSession(PLAIN, bytes, { providers: [provider], groupNorm });

async function expectRight(
  bytes: Uint8Array,
  one: GroupNormCase,
  provider: Provider,
  groupNorm?: SessionLoweringName,
): Promise<void> {
  await using session = await open(bytes, provider, groupNorm);
  expect(session.inputs.map(({ name }) => name)).to.deep.equal(['x']);
  const { y } = await session.run({ x: one.x });
  expect(maxAbsDifference(y!, referenceGroupNorm(one))).to.be.below(TOLERANCE);
}

const empty = (dims: readonly number[]) => tensor('float32', dims, new Float32Array(0));

async function rejection(opening: Promise<unknown>): Promise<{ code?: string; message: string }> {
  try {
    await opening;
  } catch (error) {
    return error as { code?: string; message: string };
  }
  throw new Error('the model was not refused');
}

describe('models of old opsets', function () {
  this.timeout(30_000);

  for (const provider of PROVIDERS) {
    for (const opset of OPSETS) {
      it(`InstanceNormalization of opset ${opset} is right for a large mean on ${provider}`, async () => {
        for (const shape of SHAPES) {
          const bytes = instanceNorm(BY_CHANNEL, opset, shape);
          for (const groupNorm of [undefined, 'reduce-mean'] as const)
            await expectRight(bytes, BY_CHANNEL, provider, groupNorm);
        }
      });

      it(`InstanceNormalization of opset ${opset} is right in float64 on ${provider}`, async () => {
        const wide = caseOf(8, 'float64');
        for (const shape of SHAPES) await expectRight(instanceNorm(wide, opset, shape), wide, provider);
      });

      it(`InstanceNormalization of opset ${opset} gives an empty result on ${provider}`, async () => {
        await using session = await open(instanceNorm(BY_CHANNEL, opset, ['N', 8, 'H', 'W']), provider);
        for (const dims of [
          [2, 8, 0, 5],
          [2, 8, 3, 0],
          [0, 8, 3, 5],
        ]) {
          const { y } = await session.run({ x: empty(dims) });
          expect(y!.dims).to.deep.equal(dims);
        }
      });

      if (opset === 6) continue;

      it(`exported GroupNorm of opset ${opset} is right for a large mean on ${provider}, whatever groupNorm is`, async () => {
        for (const shape of SHAPES) {
          const bytes = exported(BY_GROUP, opset, shape);
          for (const groupNorm of [undefined, 'reduce-mean', 'instance-norm'] as const)
            await expectRight(bytes, BY_GROUP, provider, groupNorm);
        }
      });

      it(`exported GroupNorm of opset ${opset} is right in float64 on ${provider}`, async () => {
        const wide = caseOf(4, 'float64');
        for (const shape of SHAPES) await expectRight(exported(wide, opset, shape), wide, provider);
      });

      it(`a session on ${provider} says how exported GroupNorm of opset ${opset} runs`, async () => {
        const bytes = exported(BY_GROUP, opset, DIMS);
        await using byDefault = await open(bytes, provider);
        expect(byDefault.groupNorm).to.equal(provider === 'native' ? 'kernel' : 'reduce-mean');
        await using named = await open(bytes, provider, 'instance-norm');
        expect(named.groupNorm).to.equal('instance-norm');
      });
    }

    it(`rows of opset 7 along axes longer than 1,024 are right on ${provider}, of known and unknown sizes`, async () => {
      const long = caseOf(4, 'float32', [1, 8, 3, 40_009]);
      for (const shape of [long.x.dims, ['N', 8, 'H', 'W']])
        await expectRight(exported(long, 7, shape), long, provider);
    });

    it(`a session on ${provider} refuses a lowering that the opset lacks, and names those that it has`, async () => {
      const { code, message } = await rejection(open(exported(BY_GROUP, 9, DIMS), provider, 'layer-norm'));
      expect(code).to.equal('MODEL_REJECTED');
      expect(message).to.include(
        "lowering 'layer-norm' needs opset 17 or later, not 9; at opset 9: reduce-mean",
      );
    });

    it(`a session on ${provider} refuses GroupNorm of opset 6 that cannot be written as asked`, async () => {
      const { code, message } = await rejection(open(exported(BY_GROUP, 6, DIMS), provider, 'reduce-mean'));
      expect(code).to.equal('MODEL_REJECTED');
      expect(message).to.include(
        'opset 6 is not supported; allowed: 7 to 28; bring the model to another opset',
      );
    });
  }

  for (const opset of OPSETS.slice(1)) {
    for (const lowering of ['reduce-mean', 'instance-norm'] as const) {
      it(`convert writes exported GroupNorm of opset ${opset} as ${lowering}, right for a large mean`, async () => {
        for (const shape of SHAPES) {
          const { bytes, replaced, lowerings } = convertModel(exported(BY_GROUP, opset, shape), { lowering });
          expect([replaced.exported, lowerings]).to.deep.equal([1, [lowering]]);
          expect(Model.decode(bytes).opset).to.equal(opset);
          expect(
            maxAbsDifference(await runPlain(bytes, BY_GROUP.x), referenceGroupNorm(BY_GROUP)),
          ).to.be.below(TOLERANCE);
        }
      });
    }
  }

  it('convert lists every initializer of a file of IR version 3 as an input, as that version asks', () => {
    const { bytes } = convertModel(atOpset(exportedModel(BY_GROUP, 13), 8, 3));
    const { graph } = ModelProto.decode(bytes);
    const inputs = graph!.input!.map(({ name }) => name);
    expect(inputs).to.include.members(graph!.initializer!.map(({ name }) => name));
  });

  it('convert writes the axes of Unsqueeze and the bounds of Slice as attributes where the opset has them there', () => {
    const inputsAt = (opset: number) =>
      new Set(
        Model.decode(
          convertModel(exported(BY_GROUP, opset, ['N', 8, 'H', 'W']), { lowering: 'instance-norm' }).bytes,
        )
          .nodes.filter(({ opType }) => opType === 'Unsqueeze' || opType === 'Slice')
          .map(({ opType, inputs }) => `${opType} ${inputs.length}`),
      );
    expect([...inputsAt(9)].sort()).to.deep.equal(['Slice 1', 'Unsqueeze 1']);
    expect([...inputsAt(12)].sort()).to.deep.equal(['Slice 4', 'Unsqueeze 1']);
    expect([...inputsAt(13)].sort()).to.deep.equal(['Slice 4', 'Unsqueeze 2']);
  });
});
