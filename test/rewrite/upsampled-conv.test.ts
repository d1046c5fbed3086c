/** Convolutions of upsampled images: what the pass makes of them, against a convolution in float64. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../lib/graph/builder.js';
import { op, encodeModel, type TensorData } from '../../lib/index.js';
import type { ConvOptions } from '../../lib/graph/ops/convolution.js';
import type { ResizeOptions } from '../../lib/graph/ops/resizing.js';
import { Model } from '../../lib/onnx/model.js';
import { ValueTypes } from '../../lib/rewrite/analysis/value-types.js';
import { splitUpsampledConvs } from '../../lib/rewrite/upsampled-conv.js';
import type { Provider } from '../../lib/runtime/core/contract.js';
import { createSession } from '../../lib/runtime/node.js';
import { maxAbsDifference, randomTensor } from '../support/group-norm.js';
import { NATIVE_REASON } from '../support/native.js';
import { withInitializersAsInputs } from '../support/optional-inputs.js';

const PROVIDERS: readonly Provider[] = NATIVE_REASON === undefined ? ['native', 'cpu'] : ['cpu'];

const [CHANNELS, OUTPUTS] = [128, 3];

interface Variant {
  readonly x?: readonly number[];
  readonly hasBias?: boolean;
  readonly isNamed?: boolean;
  readonly resize?: ResizeOptions;
  readonly conv?: ConvOptions;
  readonly kernel?: readonly [number, number];
  readonly isReadTwice?: boolean;
  readonly channels?: number;
  readonly group?: number;
  readonly outputs?: number;
}

const NEAREST: ResizeOptions = {
  scales: [1, 1, 2, 2],
  coordinateTransformationMode: 'asymmetric',
  nearestMode: 'floor',
};

function tensorsOf({
  channels = CHANNELS,
  x = [1, channels, 4, 5],
  kernel = [3, 3],
  group = 1,
  outputs = OUTPUTS,
}: Variant) {
  return {
    x: randomTensor('float32', [...x]),
    weight: randomTensor('float32', [outputs, channels / group, ...kernel], { stream: 'weight' }),
    bias: randomTensor('float32', [outputs], { stream: 'bias' }),
  };
}

function modelOf(variant: Variant): Uint8Array {
  const { hasBias = true, isNamed = false, resize = NEAREST, conv = {}, isReadTwice = false } = variant;
  const { x, weight, bias } = tensorsOf(variant);
  const g = new GraphBuilder('upsampled');
  const image = g.input('x', 'float32', isNamed ? ['N', x.dims[1]!, 'H', 'W'] : x.dims);
  const large = op.resize(g, image, resize);
  const parameter = (name: string, { dims }: TensorData) =>
    g.parameter(name, { dtype: 'float32', shape: dims });
  const [kernel, offsets] = [parameter('weight', weight), hasBias ? parameter('bias', bias) : undefined];
  g.output('y', op.conv(g, large, kernel, offsets, { pads: [1, 1, 1, 1], ...conv }));
  if (isReadTwice) g.output('large', large);
  const weights = new Map<string, TensorData>([['weight', weight]]);
  if (hasBias) weights.set('bias', bias);
  return encodeModel(g.build(), weights, { opset: 21 });
}

/** Upsamples by 2 and convolves, in float64. */
function expectedOf(variant: Variant): Float64Array {
  const { x, weight, bias } = tensorsOf(variant);
  const [n, channels, h, w] = x.dims as [number, number, number, number];
  const y = new Float64Array(n * OUTPUTS * 4 * h * w);
  let at = 0;
  for (let sample = 0; sample < n; sample++)
    for (let output = 0; output < OUTPUTS; output++)
      for (let row = 0; row < 2 * h; row++)
        for (let column = 0; column < 2 * w; column++) {
          let sum = variant.hasBias === false ? 0 : Number(bias.data[output]);
          for (let channel = 0; channel < channels; channel++)
            for (let place = 0; place < 9; place++) {
              const [r, c] = [row + Math.floor(place / 3) - 1, column + (place % 3) - 1];
              if (r < 0 || c < 0 || r >= 2 * h || c >= 2 * w) continue;
              const pixel = ((sample * channels + channel) * h + (r >> 1)) * w + (c >> 1);
              sum += Number(x.data[pixel]) * Number(weight.data[(output * channels + channel) * 9 + place]);
            }
          y[at++] = sum;
        }
  return y;
}

const countOf = (bytes: Uint8Array): number => splitUpsampledConvs(new ValueTypes(Model.decode(bytes)));

const MATCHES: Readonly<Record<string, Variant>> = {
  'a convolution with a bias': {},
  'a convolution without a bias, of two images': { hasBias: false, x: [2, CHANNELS, 3, 2] },
  'a convolution of sizes by name': { isNamed: true, x: [2, CHANNELS, 3, 4] },
  'a convolution of a single pixel': { isNamed: true, x: [1, CHANNELS, 1, 1] },
  'a convolution of no images': { isNamed: true, x: [0, CHANNELS, 3, 4] },
};

const OTHERS: Readonly<Record<string, Variant>> = {
  'of fewer channels': { channels: 64 },
  'in two groups': { channels: 384, outputs: 4, group: 2, conv: { group: 2 } },
  'with stride 2': { conv: { strides: [2, 2] } },
  'with dilation 2': { conv: { dilations: [2, 2], pads: [2, 2, 2, 2] } },
  'without pads': { conv: { pads: [0, 0, 0, 0] } },
  'with a 3×1 kernel': { kernel: [3, 1], conv: { pads: [1, 0, 1, 0] } },
  'of an image that was upsampled by 3': { resize: { ...NEAREST, scales: [1, 1, 3, 3] } },
  'of an image that was upsampled in height alone': { resize: { ...NEAREST, scales: [1, 1, 2, 1] } },
  'of an image that was upsampled linearly': { resize: { ...NEAREST, mode: 'linear' } },
  'of an image that was upsampled by rounding up': { resize: { ...NEAREST, nearestMode: 'ceil' } },
  'of an upsampled image that the caller asks for too': { isReadTwice: true },
};

describe('splitUpsampledConvs', () => {
  for (const [title, variant] of Object.entries(MATCHES)) {
    const bytes = modelOf(variant);
    for (const provider of PROVIDERS) {
      it(`splitUpsampledConvs makes four convolutions of ${title}, with the result of float64, on ${provider}`, async () => {
        expect(countOf(bytes)).to.equal(1);
        await using session = await createSession(bytes, { providers: [provider], strict: true });
        const { x } = tensorsOf(variant);
        const y = (await session.run({ x }))['y']!;
        const [n, , h, w] = x.dims as [number, number, number, number];
        expect(y.dims).to.deep.equal([n, OUTPUTS, 2 * h, 2 * w]);
        // Sums of 1,152 products of about 1.
        expect(maxAbsDifference(y, expectedOf(variant))).to.be.below(1e-4);
      });
    }
  }

  it('splitUpsampledConvs puts four convolutions and no Resize into the model', () => {
    const types = new ValueTypes(Model.decode(modelOf({})));
    splitUpsampledConvs(types);
    const operators = types.model.nodes.map(({ opType }) => opType);
    expect(operators.filter((name) => name === 'Conv')).to.have.length(4);
    expect(operators).to.include('DepthToSpace').and.not.include('Resize');
  });

  for (const [title, variant] of Object.entries(OTHERS))
    it(`splitUpsampledConvs leaves a convolution ${title}`, () => {
      expect(countOf(modelOf(variant))).to.equal(0);
    });

  it('splitUpsampledConvs leaves a convolution whose weight a caller may override', () => {
    expect(countOf(withInitializersAsInputs(modelOf({})))).to.equal(0);
  });
});
