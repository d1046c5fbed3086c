import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  downsample2d,
  resnetBlock2d,
  type ResnetBlock2dOptions,
  upsample2d,
} from '../../../graphs/diffusers/resnet.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Shape, TensorData } from '../../../lib/tensor.js';
import { expectGraphError } from '../../graph/support.js';
import { elementAt, filledBy, itComputes, numbers } from '../../graph/runs.js';
import { shapesOf } from '../support.js';

/** The graph of one block from 8 channels, with a time embedding of 6 numbers if asked for. */
function block(
  options: Partial<ResnetBlock2dOptions> & { time?: boolean },
  shape: Shape = ['N', 8, 'H', 'W'],
) {
  const { time, ...rest } = options;
  const g = new GraphBuilder('block');
  const x = g.input('x', 'float32', shape);
  const timeEmbedding = time ? g.input('temb', 'float32', ['N', 6]) : undefined;
  g.output('y', resnetBlock2d(g, x, { outChannels: 8, numGroups: 4, eps: 1e-6, timeEmbedding, ...rest }));
  return g.build();
}

const NORM = (name: string, channels: number) => ({
  [`${name}.weight`]: [channels],
  [`${name}.bias`]: [channels],
});
const CONV = (name: string, from: number, to: number, size = 3) => ({
  [`${name}.weight`]: [to, from, size, size],
  [`${name}.bias`]: [to],
});

describe('resnetBlock2d', () => {
  it("resnetBlock2d has ResnetBlock2D's state_dict keys, with a shortcut where the channels differ", () => {
    expect(shapesOf(block({}).parameters)).to.deep.equal({
      ...NORM('norm1', 8),
      ...CONV('conv1', 8, 8),
      ...NORM('norm2', 8),
      ...CONV('conv2', 8, 8),
    });
    const wider = block({ outChannels: 12, convShortcutBias: false });
    expect(shapesOf(wider.parameters)).to.deep.equal({
      ...NORM('norm1', 8),
      ...CONV('conv1', 8, 12),
      ...NORM('norm2', 12),
      ...CONV('conv2', 12, 12),
      'conv_shortcut.weight': [12, 8, 1, 1],
    });
    expect(wider.outputs[0]!.shape).to.deep.equal(['N', 12, 'H', 'W']);
    expect(shapesOf(block({ convShortcut: true }).parameters)).to.include.keys('conv_shortcut.bias');
  });

  it('resnetBlock2d projects a time embedding to an offset for each channel, or to a scale and an offset', () => {
    const keys = (options: Partial<ResnetBlock2dOptions>) =>
      shapesOf(block({ time: true, ...options }).parameters);
    expect(keys({ outChannels: 12 })['time_emb_proj.weight']).to.deep.equal([12, 6]);
    const scaled = keys({ timeScaleShift: 'scale_shift' });
    expect(scaled).to.deep.include({ 'time_emb_proj.weight': [16, 6], 'time_emb_proj.bias': [16] });
  });

  it('resnetBlock2d activates the time embedding unless it is activated', () => {
    const sigmoids = (skipTimeActivation: boolean) =>
      block({ time: true, skipTimeActivation }).nodes.filter(({ opType }) => opType === 'Sigmoid').length;
    expect([sigmoids(false), sigmoids(true)]).to.deep.equal([3, 2]);
  });

  it('resnetBlock2d resamples both branches, and divides by the scale factor', () => {
    const { nodes, outputs } = block({
      resample: (g, x) => downsample2d(g, x),
      outputScaleFactor: Math.SQRT2,
    });
    expect(outputs[0]!.shape.slice(0, 2)).to.deep.equal(['N', 8]);
    expect(nodes.filter(({ opType }) => opType === 'AveragePool')).to.have.length(2);
    expect(nodes.at(-1)!.opType).to.equal('Div');
  });

  it('resnetBlock2d refuses groups that do not divide the channels', () => {
    expectGraphError(() => block({ numGroups: 3 }), 'NUM_GROUPS_MISMATCH', 'norm1');
  });
});

describe('downsample2d', () => {
  const sizes = (options: Parameters<typeof downsample2d>[2], size: number) => {
    const g = new GraphBuilder('down');
    return downsample2d(g, g.input('x', 'float32', [1, 4, size, size]), options).shape.slice(1);
  };

  it('downsample2d halves the size: up with padding 1, down with padding 0 and for the mean', () => {
    expect(sizes({ outChannels: 6 }, 9)).to.deep.equal([6, 5, 5]);
    expect(sizes({ outChannels: 6, padding: 0 }, 9)).to.deep.equal([6, 4, 4]);
    expect(sizes({}, 9)).to.deep.equal([4, 4, 4]);
  });
});

describe('upsample2d', () => {
  const DIMS = [2, 3, 4, 2];
  const LIKE = [2, 1, 7, 4];
  /** The nearest pixels at twice the size, of which the last row is cut. */
  const nearest = (x: Float64Array) => [
    filledBy([2, 3, 7, 4], (n, c, h, w) => elementAt(x, DIMS, n, c, h >> 1, w >> 1)),
  ];
  const inputs: readonly TensorData[] = [numbers(DIMS), numbers(LIKE, 'like')];

  itComputes('upsample2d takes the spatial size of another value at run time', {
    inputs,
    // ONNX Runtime's CPU provider has no float64 kernel for Resize.
    dtypes: ['float32', 'float16'],
    call: (g, [x, like]) => upsample2d(g, x!, { sizeOf: op.relu(g, like!) }),
    expected: nearest,
    declared: [
      ['N', 3, 'h', 'w'],
      ['N', 1, 'H', 'W'],
    ],
  });

  it('upsample2d doubles names of sizes, and convolves if it has channels', () => {
    const g = new GraphBuilder('up');
    const x = g.input('x', 'float32', ['N', 4, 'H', 'W']);
    g.output('y', upsample2d(g, x, { outChannels: 6 }));
    const { outputs, parameters } = g.build();
    expect(outputs[0]!.shape).to.deep.equal(['N', 6, '2*H', '2*W']);
    expect(shapesOf(parameters)).to.deep.equal(CONV('conv', 4, 6));
  });
});
