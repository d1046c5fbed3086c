/** Normalizations of tensors without elements, which are empty results in every session. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ATTRIBUTE_TYPE, type AttributeMessage, ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { encodeValueInfo } from '../../lib/onnx/graph/value-info.js';
import type { Provider } from '../../lib/runtime/core/contract.js';
import { openSession } from '../../lib/runtime/session/open.js';
import { NODE } from '../../lib/runtime/node.js';
import { cpuBackend } from '../../lib/runtime/ort-node/model.js';
import { type Shape, tensor } from '../../lib/tensor.js';
import { exportedModel } from '../support/exported-model.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../support/group-norm.js';
import { NATIVE_REASON } from '../support/native.js';

/** `cpu` is onnxruntime-node, as where the addon is not installed. */
const PLAIN = { ...NODE, backends: { ...NODE.backends, cpu: [cpuBackend] } };
const PROVIDERS: readonly Provider[] =
  NATIVE_REASON === undefined ? ['native', 'cpu', 'wasm'] : ['cpu', 'wasm'];

type Norm = 'InstanceNormalization' | 'GroupNormalization';

/** Abs, whose result is a tensor of the runtime's own, and then the operator. Scale and bias are inputs. */
function model(opType: Norm, opset: number, shape: Shape): Uint8Array {
  const groups: AttributeMessage = { name: 'num_groups', type: ATTRIBUTE_TYPE.INT, i: 2 };
  const declare = (name: string, own: Shape) => encodeValueInfo({ name, dtype: 'float32', shape: own });
  return ModelProto.encode({
    irVersion: 7,
    opsetImport: [{ domain: '', version: opset }],
    graph: {
      name: 'norm',
      node: [
        { opType: 'Abs', input: ['x'], output: ['abs'] },
        {
          opType,
          input: ['abs', 'scale', 'bias'],
          output: ['y'],
          attribute: opType === 'GroupNormalization' ? [groups] : [],
        },
      ],
      input: [declare('x', shape), ...['scale', 'bias'].map((name) => declare(name, [shape[1]!]))],
      output: [declare('y', shape)],
    },
  }).finish();
}

const SHAPES: Readonly<Record<string, Shape>> = {
  'known channels': ['N', 4, 'H', 'W'],
  'unknown channels': ['N', 'C', 'H', 'W'],
};
const EMPTY = [
  [2, 4, 0, 5],
  [2, 4, 3, 0],
  [0, 4, 3, 5],
  [0, 4, 0, 5],
];
const CHOICES = [undefined, 'op', 'reduce-mean', 'instance-norm', 'layer-norm'] as const;

const scale = randomTensor('float32', [4], { stream: 'scale' });
const bias = randomTensor('float32', [4], { stream: 'bias' });
const x = randomTensor('float32', [2, 4, 3, 5]);
const absX = tensor('float32', x.dims, x.data.map(Math.abs));
const CASE = { x: absX, scale, bias, eps: 1e-5 };

async function check(
  bytes: Uint8Array,
  provider: Provider,
  choice: (typeof CHOICES)[number],
  numGroups: number,
) {
  const options = { providers: [provider], ...(choice && { groupNorm: choice }) };
  await using session = await openSession(PLAIN, bytes, options);
  const parameters = session.inputs.length > 1 ? { scale, bias } : {};
  for (const dims of EMPTY) {
    const { y } = await session.run({ x: tensor('float32', dims, new Float32Array(0)), ...parameters });
    expect(y!.dims).to.deep.equal(dims);
  }
  const { y } = await session.run({ x: absX, ...parameters });
  const right = referenceGroupNorm({ ...CASE, numGroups });
  expect(maxAbsDifference(y!, right)).to.be.below(1e-5);
}

describe('normalizations of empty tensors', function () {
  this.timeout(20_000);
  for (const provider of PROVIDERS) {
    for (const [what, shape] of Object.entries(SHAPES)) {
      for (const opset of [8, 11, 13, 21]) {
        it(`InstanceNormalization of opset ${opset} with ${what} gives an empty result on ${provider}, whatever groupNorm is`, async () => {
          for (const choice of CHOICES)
            await check(model('InstanceNormalization', opset, shape), provider, choice, 4);
        });
      }
    }
    it(`GroupNormalization gives an empty result on ${provider}, whatever groupNorm is`, async () => {
      const bytes = model('GroupNormalization', 21, SHAPES['known channels']!);
      for (const choice of CHOICES) await check(bytes, provider, choice, 2);
    });
    // `op` leaves the exported nodes as they are, and ONNX defines no result for their Reshape to (0, G, −1).
    it(`GroupNorm as PyTorch exports it gives an empty result on ${provider}, unless groupNorm is op`, async () => {
      const bytes = exportedModel({ ...CASE, numGroups: 2 }, 17);
      for (const choice of CHOICES) if (choice !== 'op') await check(bytes, provider, choice, 2);
    });
  }
});
