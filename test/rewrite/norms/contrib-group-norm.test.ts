/** com.microsoft.GroupNorm and SkipGroupNorm, as ONNX Runtime's optimizer for transformers writes them. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { toFloat64Array } from '../../../lib/half.js';
import { Model } from '../../../lib/onnx/model.js';
import {
  ATTRIBUTE_TYPE,
  type AttributeMessage,
  ModelProto,
  type NodeMessage,
} from '../../../lib/onnx/protobuf/proto.js';
import { encodeTensor } from '../../../lib/onnx/protobuf/tensors.js';
import { encodeValueInfo } from '../../../lib/onnx/graph/value-info.js';
import { convertModel } from '../../../lib/rewrite/convert.js';
import type { Provider } from '../../../lib/runtime/core/contract.js';
import { openSession } from '../../../lib/runtime/session/open.js';
import { NODE } from '../../../lib/runtime/node.js';
import { cpuBackend } from '../../../lib/runtime/ort-node/model.js';
import { type FloatDType, type Shape, tensor, type TensorData } from '../../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { NATIVE_REASON } from '../../support/native.js';
import { caught, rejection } from '../../support/temporary.js';

/** `cpu` is onnxruntime-node, as where the addon is not installed. */
const PLAIN = { ...NODE, backends: { ...NODE.backends, cpu: [cpuBackend] } };
const PROVIDERS: readonly Provider[] =
  NATIVE_REASON === undefined ? ['native', 'cpu', 'wasm'] : ['cpu', 'wasm'];

const [N, C, H, W, GROUPS] = [2, 8, 3, 5, 4];
const EPSILON = Math.fround(1e-5);

interface Variant {
  readonly opType?: 'GroupNorm' | 'SkipGroupNorm';
  readonly channelsLast?: boolean;
  readonly activation?: number;
  readonly skip?: 'whole' | 'image of 1' | 'flat';
  readonly hasBias?: boolean;
  readonly hasSum?: boolean;
  readonly dtype?: FloatDType;
  readonly scaleDType?: FloatDType;
  /** Whether sizes are numbers or names, or even the dtype is unknown. */
  readonly input?: 'static' | 'named' | 'untyped';
  readonly opset?: number;
}

const int = (name: string, i: number): AttributeMessage => ({ name, type: ATTRIBUTE_TYPE.INT, i });
const ints = (name: string, values: number[]): AttributeMessage => ({
  name,
  type: ATTRIBUTE_TYPE.INTS,
  ints: values,
});

const inLayout = (channelsLast: boolean, [n, c, h, w]: readonly [number, number, number, number]) =>
  channelsLast ? [n, h, w, c] : [n, c, h, w];

/** The tensors of a case: what the model holds, and what a caller feeds. */
function tensorsOf({ dtype = 'float32', scaleDType = dtype, channelsLast = true, skip = 'whole' }: Variant) {
  const skipDims = {
    whole: inLayout(channelsLast, [N, C, H, W]),
    'image of 1': inLayout(channelsLast, [N, C, 1, 1]),
    flat: [N, C],
  }[skip];
  return {
    x: randomTensor(dtype, inLayout(channelsLast, [N, C, H, W]), { mean: 3 }),
    skip: randomTensor(dtype, skipDims, { stream: 'skip' }),
    gamma: randomTensor(scaleDType, [C], { stream: 'gamma' }),
    beta: randomTensor(scaleDType, [C], { stream: 'beta' }),
    bias: randomTensor(dtype, [C], { stream: 'bias' }),
  };
}

function model(variant: Variant): Uint8Array {
  const { opType = 'GroupNorm', channelsLast = true, activation = 0, hasBias, hasSum, opset = 17 } = variant;
  const { input = 'static' } = variant;
  const { x, skip, gamma, beta, bias } = tensorsOf(variant);
  const isSkip = opType === 'SkipGroupNorm';
  const declare = (name: string, { dtype, dims }: TensorData, shape: Shape = dims) =>
    encodeValueInfo({
      name,
      dtype,
      shape: input === 'static' ? shape : shape.map((_, axis) => `${name}${axis}`),
    });
  const node: NodeMessage = {
    opType,
    domain: 'com.microsoft',
    name: 'norm',
    input: ['inner', 'gamma', 'beta', ...(isSkip ? ['skip', ...(hasBias ? ['bias'] : [])] : [])],
    output: ['y', ...(hasSum ? ['sum'] : [])],
    attribute: [
      int('groups', GROUPS),
      int('activation', activation),
      { name: 'epsilon', type: ATTRIBUTE_TYPE.FLOAT, f: EPSILON },
      // 1 is the default, which the optimizer does not write.
      ...(channelsLast ? [] : [int('channels_last', 0)]),
    ],
  };
  // Passes know the types of Identity's result, and not those of Compress, which keeps every sample here.
  const before: NodeMessage =
    input === 'untyped'
      ? { opType: 'Compress', input: ['x', 'all'], output: ['inner'], attribute: [int('axis', 0)] }
      : { opType: 'Identity', input: ['x'], output: ['inner'] };
  return ModelProto.encode({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: opset },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'contrib',
      node: [before, node],
      initializer: [
        encodeTensor('gamma', gamma),
        encodeTensor('beta', beta),
        encodeTensor('bias', bias),
        encodeTensor('all', tensor('bool', [N], new Uint8Array(N).fill(1))),
      ],
      input: [declare('x', x), ...(isSkip ? [declare('skip', skip)] : [])],
      output: [declare('y', x), ...(hasSum ? [declare('sum', x)] : [])],
    },
  }).finish();
}

/** Where an element of (N, C, H, W) lies in a tensor of a layout, whose sizes of 1 are repeated. */
function indexIn(dims: readonly number[], channelsLast: boolean, [n, c, h, w]: readonly number[]): number {
  const at = dims.length === 2 ? [n!, c!] : channelsLast ? [n!, h!, w!, c!] : [n!, c!, h!, w!];
  return at.reduce((flat, index, axis) => flat * dims[axis]! + (dims[axis] === 1 ? 0 : index), 0);
}

/** The result and the sum in float64, from the definition of the operators. */
function expected(variant: Variant): { y: Float64Array; sum: Float64Array } {
  const { opType = 'GroupNorm', channelsLast = true, activation = 0, hasBias } = variant;
  const { x, skip, gamma, beta, bias } = tensorsOf(variant);
  const [values, skips, biases] = [x, skip, bias].map((data) => toFloat64Array(data));
  const places = Array.from({ length: N * C * H * W }, (_, i) => [
    Math.floor(i / (C * H * W)),
    Math.floor(i / (H * W)) % C,
    Math.floor(i / W) % H,
    i % W,
  ]);
  const sums = Float64Array.from(places, (place) => {
    const value = values![indexIn(x.dims, channelsLast, place)]!;
    if (opType === 'GroupNorm') return value;
    return value + skips![indexIn(skip.dims, channelsLast, place)]! + (hasBias ? biases![place[1]!]! : 0);
  });
  const nchw = tensor('float64', [N, C, H, W], sums);
  const normalized = referenceGroupNorm({
    x: nchw,
    scale: gamma,
    bias: beta,
    numGroups: GROUPS,
    eps: EPSILON,
  });
  const y = new Float64Array(sums.length);
  const sum = new Float64Array(sums.length);
  places.forEach((place, i) => {
    const v = normalized[i]!;
    const at = indexIn(x.dims, channelsLast, place);
    y[at] = activation === 1 ? v / (1 + Math.exp(-v)) : v;
    sum[at] = sums[i]!;
  });
  return { y, sum };
}

/** Results are up to 4 large: the rounding of float32 sums, and of a result in float16, and of a sum in float16. */
const TOLERANCE = { float32: 3e-6, float16: 6e-3, float64: 0, bfloat16: 0 };

const VARIANTS: Readonly<Record<string, Variant>> = {
  'GroupNorm, channels last': {},
  'GroupNorm, channels last, SiLU': { activation: 1 },
  'GroupNorm, channels first, SiLU': { channelsLast: false, activation: 1 },
  'GroupNorm of named sizes': { input: 'named', activation: 1 },
  'GroupNorm of unknown dtype and rank': { input: 'untyped', activation: 1 },
  'GroupNorm of opset 13': { opset: 13 },
  'GroupNorm of opset 21': { opset: 21, activation: 1 },
  'GroupNorm in float16': { dtype: 'float16', activation: 1 },
  'GroupNorm in float16 with gamma in float32': { dtype: 'float16', scaleDType: 'float32', activation: 1 },
  'GroupNorm of unknown dtype, which is float16': {
    dtype: 'float16',
    scaleDType: 'float32',
    input: 'untyped',
  },
  SkipGroupNorm: { opType: 'SkipGroupNorm' },
  'SkipGroupNorm with bias, sum and SiLU': {
    opType: 'SkipGroupNorm',
    hasBias: true,
    hasSum: true,
    activation: 1,
  },
  'SkipGroupNorm, channels first, with bias and sum': {
    opType: 'SkipGroupNorm',
    channelsLast: false,
    hasBias: true,
    hasSum: true,
  },
  'SkipGroupNorm with skip (N, 1, 1, C)': { opType: 'SkipGroupNorm', skip: 'image of 1', hasSum: true },
  'SkipGroupNorm with skip (N, C)': { opType: 'SkipGroupNorm', skip: 'flat', input: 'named', hasSum: true },
  'SkipGroupNorm, channels first, with skip (N, C)': {
    opType: 'SkipGroupNorm',
    channelsLast: false,
    skip: 'flat',
  },
  'SkipGroupNorm in float16 with gamma in float32': {
    opType: 'SkipGroupNorm',
    dtype: 'float16',
    scaleDType: 'float32',
    hasBias: true,
    hasSum: true,
  },
};

async function check(
  bytes: Uint8Array,
  variant: Variant,
  options: Parameters<typeof openSession>[2],
): Promise<string | undefined> {
  const { x, skip } = tensorsOf(variant);
  const right = expected(variant);
  await using session = await openSession(PLAIN, bytes, options);
  const { y, sum } = await session.run({ x, ...(variant.opType === 'SkipGroupNorm' && { skip }) });
  const tolerance = TOLERANCE[variant.dtype ?? 'float32'];
  expect([y!.dtype, y!.dims]).to.deep.equal([x.dtype, x.dims]);
  expect(maxAbsDifference(y!, right.y)).to.be.below(tolerance);
  if (variant.hasSum) expect(maxAbsDifference(sum!, right.sum)).to.be.below(tolerance);
  return session.groupNorm;
}

describe('com.microsoft.GroupNorm and SkipGroupNorm', function () {
  this.timeout(20_000);
  for (const [title, variant] of Object.entries(VARIANTS)) {
    for (const provider of PROVIDERS) {
      it(`a session on ${provider} runs ${title} as its definition says`, async () => {
        for (const groupNorm of [undefined, 'op', 'layer-norm'] as const) {
          if (groupNorm === 'layer-norm' && (variant.opset ?? 17) < 17) continue;
          const execution = await check(model(variant), variant, {
            providers: [provider],
            ...(groupNorm && { groupNorm }),
          });
          const without = groupNorm === 'layer-norm' ? 'layer-norm' : 'reduce-mean';
          expect(execution).to.equal(
            provider === 'native' && groupNorm !== 'layer-norm' ? 'kernel' : without,
          );
        }
      });
    }

    it(`convert writes ${title} in operators of ONNX`, async () => {
      const { bytes, replaced, foreign } = convertModel(model(variant));
      expect([replaced.contrib, foreign]).to.deep.equal([1, []]);
      expect(Model.decode(bytes).nodes.filter(({ domain }) => domain !== '')).to.deep.equal([]);
      await check(bytes, variant, { providers: ['cpu'], groupNorm: 'op' });
    });
  }

  it('a session gives an empty result for an image of height 0', async () => {
    const variant: Variant = { opType: 'SkipGroupNorm', input: 'named', activation: 1, hasSum: true };
    const empty = tensor('float32', [N, 0, W, C], new Float32Array(0));
    for (const provider of PROVIDERS) {
      await using session = await openSession(PLAIN, model(variant), { providers: [provider] });
      const { y, sum } = await session.run({ x: empty, skip: empty });
      expect([y!.dims, sum!.dims]).to.deep.equal([empty.dims, empty.dims]);
    }
  });

  it('sessions and convert give an empty result for images whose height is declared as 0', async () => {
    const message = ModelProto.decode(
      model({
        opType: 'SkipGroupNorm',
        dtype: 'float16',
        scaleDType: 'float32',
        activation: 1,
        hasSum: true,
      }),
    );
    for (const { type } of [...message.graph!.input!, ...message.graph!.output!])
      type!.tensorType!.shape!.dim![1]!.dimValue = 0;
    const bytes = ModelProto.encode(message).finish();
    const empty = tensor('float16', [N, 0, W, C], new Uint16Array(0));
    for (const file of [bytes, convertModel(bytes).bytes]) {
      for (const provider of PROVIDERS) {
        await using session = await openSession(PLAIN, file, { providers: [provider] });
        const { y, sum } = await session.run({ x: empty, skip: empty });
        expect([y!.dims, sum!.dims]).to.deep.equal([empty.dims, empty.dims]);
      }
    }
  });

  /** Puts the model between Transposes to channels last and back, as the optimizer does for an image (N, C, H, W). */
  function betweenTransposes(bytes: Uint8Array): Uint8Array {
    const message = ModelProto.decode(bytes);
    const graph = message.graph!;
    graph.node = [
      { opType: 'Transpose', input: ['x'], output: ['inner'], attribute: [ints('perm', [0, 2, 3, 1])] },
      { ...graph.node![1]!, output: ['y_NHWC'] },
      { opType: 'Transpose', input: ['y_NHWC'], output: ['y'], attribute: [ints('perm', [0, 3, 1, 2])] },
    ];
    return ModelProto.encode(message).finish();
  }

  it('convert removes the Transposes around a node that works on channels last', async () => {
    const first: Variant = { channelsLast: false, activation: 1 };
    const message = ModelProto.decode(model(first));
    message.graph!.node![1]!.attribute = message.graph!.node![1]!.attribute!.filter(
      ({ name }) => name !== 'channels_last',
    );
    const bytes = betweenTransposes(ModelProto.encode(message).finish());
    const converted = convertModel(bytes);
    expect(converted.replaced.contrib).to.equal(1);
    expect(Model.decode(converted.bytes).nodes.map(({ opType }) => opType)).to.not.include('Transpose');
    await check(converted.bytes, first, { providers: ['cpu'], groupNorm: 'op' });
  });

  it('convert writes com.microsoft.GroupNorm where its kernel fits, and reads it back', async () => {
    const variant: Variant = { channelsLast: false, input: 'named' };
    const contrib = model(variant);
    const { bytes: standard } = convertModel(contrib, { lowering: 'layer-norm' });
    const operator = groupNormModel(
      {
        x: tensorsOf(variant).x,
        scale: tensorsOf(variant).gamma,
        bias: tensorsOf(variant).beta,
        numGroups: GROUPS,
        eps: EPSILON,
      },
      { lowering: 'op', opset: 21 },
    );
    for (const bytes of [standard, operator]) await check(bytes, variant, { providers: ['cpu'] });
    const there = convertModel(operator, { lowering: 'contrib-group-norm' });
    expect([there.replaced.groupNormalization, there.lowerings, there.foreign]).to.deep.equal([
      1,
      ['contrib-group-norm'],
      ['com.microsoft.GroupNorm'],
    ]);
    await check(there.bytes, variant, { providers: ['cpu'] });
    const back = convertModel(there.bytes, { lowering: 'op' });
    expect([back.replaced.contrib, back.lowerings, back.foreign]).to.deep.equal([1, ['op'], []]);
    await check(back.bytes, variant, { providers: ['cpu'] });
    expect(convertModel(there.bytes, { lowering: 'contrib-group-norm' }).bytes).to.equal(there.bytes);
  });

  it('convert writes reduce-mean where the kernel of com.microsoft.GroupNorm does not fit', () => {
    const x = randomTensor('float64', [2, 8, 3, 5]);
    const operator = groupNormModel({ x, numGroups: GROUPS, eps: EPSILON }, { lowering: 'op', opset: 21 });
    const { lowerings, foreign } = convertModel(operator, { lowering: 'contrib-group-norm' });
    expect([lowerings, foreign]).to.deep.equal([['reduce-mean'], []]);
  });

  const refused: Readonly<Record<string, readonly [change: (node: NodeMessage) => void, message: string]>> = {
    'an unknown activation': [
      ({ attribute }) => (attribute!.find(({ name }) => name === 'activation')!.i = 2),
      'its activation 2 is unknown; known: 0 (none) and 1 (SiLU)',
    ],
    'groups that do not divide the channels': [
      ({ attribute }) => (attribute!.find(({ name }) => name === 'groups')!.i = 3),
      '8 channels are not divisible by 3 groups',
    ],
    'gamma and beta of other lengths': [
      ({ input }) => input!.splice(2, 1, 'all'),
      'its gamma and beta are not declared as vectors of one length',
    ],
  };
  for (const [what, [change, message]] of Object.entries(refused)) {
    it(`sessions and convert refuse ${what}, and name the node`, async () => {
      const changed = ModelProto.decode(model({ activation: 1 }));
      change(changed.graph!.node![1]!);
      const bytes = ModelProto.encode(changed).finish();
      const said = `com.microsoft.GroupNorm 'norm': ${message}`;
      expect(caught(() => convertModel(bytes))).to.have.property('code', 'MODEL_UNSUPPORTED');
      expect(caught(() => convertModel(bytes)))
        .to.have.property('message')
        .that.includes(said);
      const refusal = await rejection(openSession(PLAIN, bytes, { providers: ['cpu'] }));
      expect(refusal).to.have.property('code', 'MODEL_REJECTED');
      expect(refusal).to.have.property('message').that.includes(said);
    });
  }
});
