/** com.microsoft.NhwcConv, as ONNX Runtime's optimizer for transformers writes it between Transposes. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { toFloat64Array } from '../../lib/half.js';
import { Model } from '../../lib/onnx/model.js';
import {
  ATTRIBUTE_TYPE,
  type AttributeMessage,
  ModelProto,
  type NodeMessage,
} from '../../lib/onnx/protobuf/proto.js';
import { encodeTensor } from '../../lib/onnx/protobuf/tensors.js';
import { encodeValueInfo } from '../../lib/onnx/graph/value-info.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import type { Provider } from '../../lib/runtime/core/contract.js';
import { createSession } from '../../lib/runtime/node.js';
import { type FloatDType, type TensorData } from '../../lib/tensor.js';
import { maxAbsDifference, randomTensor } from '../support/group-norm.js';
import { NATIVE_REASON } from '../support/native.js';

const PROVIDERS: readonly Provider[] =
  NATIVE_REASON === undefined ? ['native', 'cpu', 'wasm'] : ['cpu', 'wasm'];

const [N, H, W, C, M, K] = [2, 6, 5, 4, 6, 3];

const ints = (name: string, values: number[]): AttributeMessage => ({
  name,
  type: ATTRIBUTE_TYPE.INTS,
  ints: values,
});

interface Variant {
  readonly stride?: number;
  /** At the beginnings of H and W, and at their ends. */
  readonly pads?: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation?: number;
  readonly group?: number;
  readonly hasBias?: boolean;
  readonly autoPad?: boolean;
  readonly isNamed?: boolean;
  readonly dtype?: FloatDType;
  /** Whether x, the weight and the result are Transposes of tensors with channels first. */
  readonly isBetweenTransposes?: boolean;
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  'NhwcConv alone': {},
  'NhwcConv with strides, uneven pads and a bias': { stride: 2, pads: [1, 0, 2, 1], hasBias: true },
  'NhwcConv with dilations and groups, of sizes by name': {
    dilation: 2,
    group: 2,
    pads: [1, 2, 1, 2],
    isNamed: true,
  },
  'NhwcConv with auto_pad': { autoPad: true, pads: [1, 1, 1, 1], hasBias: true },
  'NhwcConv between Transposes': { isBetweenTransposes: true, pads: [1, 1, 1, 1], hasBias: true },
  'NhwcConv in float16': { dtype: 'float16', isNamed: true, pads: [1, 1, 1, 1] },
};

/** With channels last: x (N, H, W, C) and the weight (M, kH, kW, C / group). */
function tensorsOf({ dtype = 'float32', group = 1 }: Variant) {
  return {
    x: randomTensor(dtype, [N, H, W, C]),
    weight: randomTensor(dtype, [M, K, K, C / group], { stream: 'weight' }),
    bias: randomTensor(dtype, [M], { stream: 'bias' }),
  };
}

/** Moves the last axis behind the first. */
function channelsFirst({ dtype, dims, data }: TensorData): TensorData {
  const [n, h, w, c] = dims as [number, number, number, number];
  const moved = data.slice() as typeof data;
  for (let i = 0; i < data.length; i++) {
    const [at, channel] = [Math.floor(i / c), i % c];
    const [sample, place] = [Math.floor(at / (h * w)), at % (h * w)];
    moved[(sample * c + channel) * h * w + place] = data[i]!;
  }
  return { dtype, dims: [n, c, h, w], data: moved } as TensorData;
}

function model(variant: Variant): Uint8Array {
  const { stride, pads, dilation, group = 1, hasBias, autoPad, isNamed, isBetweenTransposes } = variant;
  const { x, weight, bias } = tensorsOf(variant);
  const inLayout = (data: TensorData) => (isBetweenTransposes ? channelsFirst(data) : data);
  const inner = isBetweenTransposes ? ['x_last', 'w_last', 'y_last'] : ['x', 'w', 'y'];
  const conv: NodeMessage = {
    opType: 'NhwcConv',
    domain: 'com.microsoft',
    name: 'conv',
    input: [inner[0]!, inner[1]!, ...(hasBias ? ['b'] : [])],
    output: [inner[2]!],
    attribute: [
      ints('kernel_shape', [K, K]),
      ...(stride ? [ints('strides', [stride, stride])] : []),
      ...(pads && !autoPad ? [ints('pads', [...pads])] : []),
      ...(autoPad
        ? [{ name: 'auto_pad', type: ATTRIBUTE_TYPE.STRING, s: new TextEncoder().encode('SAME_UPPER') }]
        : []),
      ...(dilation ? [ints('dilations', [dilation, dilation])] : []),
      { name: 'group', type: ATTRIBUTE_TYPE.INT, i: group },
    ],
  };
  const transpose = (from: string, to: string, perm: number[]): NodeMessage => ({
    opType: 'Transpose',
    input: [from],
    output: [to],
    attribute: [ints('perm', perm)],
  });
  const [given, stored] = [inLayout(x), inLayout(weight)];
  const named = (name: string) => given.dims.map((_, axis) => `${name}${axis}`);
  return ModelProto.encode({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'nhwc',
      node: isBetweenTransposes
        ? [
            transpose('x', 'x_last', [0, 2, 3, 1]),
            transpose('w', 'w_last', [0, 2, 3, 1]),
            conv,
            transpose('y_last', 'y', [0, 3, 1, 2]),
          ]
        : [conv],
      initializer: [encodeTensor('w', stored), encodeTensor('b', bias)],
      input: [encodeValueInfo({ name: 'x', dtype: x.dtype, shape: isNamed ? named('x') : given.dims })],
      output: [encodeValueInfo({ name: 'y', dtype: x.dtype, shape: named('y') })],
    },
  }).finish();
}

/** The convolution in float64, by its definition: the result (N, H′, W′, M). */
function expected(variant: Variant): TensorData {
  const { stride = 1, pads = [0, 0, 0, 0], dilation = 1, group = 1, hasBias } = variant;
  const { x, weight, bias } = tensorsOf(variant);
  const [xs, ws, bs] = [x, weight, bias].map(toFloat64Array) as [Float64Array, Float64Array, Float64Array];
  const reach = dilation * (K - 1) + 1;
  const height = Math.floor((H + pads[0] + pads[2] - reach) / stride) + 1;
  const width = Math.floor((W + pads[1] + pads[3] - reach) / stride) + 1;
  const perGroup = C / group;
  const elementAt = (n: number, top: number, left: number, m: number) => {
    let sum = hasBias ? bs[m]! : 0;
    for (let i = 0; i < K; i++) {
      for (let j = 0; j < K; j++) {
        const [h, w] = [top + i * dilation, left + j * dilation];
        if (h < 0 || h >= H || w < 0 || w >= W) continue;
        for (let c = 0; c < perGroup; c++) {
          const channel = Math.floor(m / (M / group)) * perGroup + c;
          sum += xs[((n * H + h) * W + w) * C + channel]! * ws[((m * K + i) * K + j) * perGroup + c]!;
        }
      }
    }
    return sum;
  };
  const data = Float64Array.from({ length: N * height * width * M }, (_, at) => {
    const [place, m] = [Math.floor(at / M), at % M];
    const [row, w] = [Math.floor(place / width), place % width];
    const [n, h] = [Math.floor(row / height), row % height];
    return elementAt(n, h * stride - pads[0], w * stride - pads[1], m);
  });
  return { dtype: 'float64', dims: [N, height, width, M], data };
}

async function check(bytes: Uint8Array, variant: Variant, providers: readonly Provider[]): Promise<void> {
  const { x } = tensorsOf(variant);
  const isMoved = variant.isBetweenTransposes === true;
  const truth = isMoved ? channelsFirst(expected(variant)) : expected(variant);
  await using session = await createSession(bytes, { providers });
  const { y } = await session.run({ x: isMoved ? channelsFirst(x) : x });
  expect(y!.dims).to.deep.equal(truth.dims);
  // Sums of up to 37 products of about 1, in float32 or rounded to float16.
  const allowed = variant.dtype === 'float16' ? 2 ** -6 : 1e-5;
  expect(maxAbsDifference(y!, toFloat64Array(truth))).to.be.below(allowed);
}

describe('com.microsoft.NhwcConv', () => {
  for (const [title, variant] of Object.entries(VARIANTS)) {
    for (const provider of PROVIDERS) {
      it(`a session on ${provider} computes ${title} as a convolution with channels last`, () =>
        check(model(variant), variant, [provider]));
    }

    it(`convert writes ${title} as Conv`, async () => {
      const { bytes, nhwcConvs, foreign } = convertModel(model(variant));
      expect([nhwcConvs, foreign]).to.deep.equal([1, []]);
      const types = Model.decode(bytes).nodes.map(({ opType }) => opType);
      const transposes = variant.isBetweenTransposes ? [] : ['Transpose', 'Transpose'];
      expect(types).to.deep.equal([
        ...transposes,
        'Conv',
        ...(variant.isBetweenTransposes ? [] : ['Transpose']),
      ]);
      await check(bytes, variant, ['cpu']);
    });
  }

  it('convert --lowering contrib-group-norm keeps NhwcConv, for the runtimes that have both kernels', () => {
    const bytes = model({});
    const converted = convertModel(bytes, { lowering: 'contrib-group-norm' });
    expect([converted.nhwcConvs, converted.bytes]).to.deep.equal([0, bytes]);
  });
});
