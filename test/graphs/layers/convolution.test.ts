import { expect } from 'chai';
import { describe, it } from 'mocha';
import { conv, convTranspose, sharedConv } from '../../../graphs/layers/convolution.js';
import { GraphError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import type { Value } from '../../../lib/graph/types.js';
import type { Shape } from '../../../lib/tensor.js';
import { shapesOf } from '../support.js';

/** What `layer` declares and gives for an input of `shape`. */
function layerOn(shape: Shape, layer: (g: GraphBuilder, x: Value) => Value) {
  const g = new GraphBuilder('test');
  const y = layer(g, g.input('x', 'float32', shape));
  g.output('y', y);
  return { shape: y.shape, parameters: g.build().parameters };
}

describe('conv', () => {
  for (const spatial of [['L'], ['H', 'W'], ['D', 'H', 'W']]) {
    it(`layer conv is torch.nn.Conv${spatial.length}d for a value of rank ${spatial.length + 2}`, () => {
      const { shape, parameters } = layerOn(['N', 6, ...spatial], (g, x) =>
        conv(g, x, { outChannels: 8, kernelSize: 3, padding: 1 }),
      );
      expect(shape).to.deep.equal(['N', 8, ...spatial]);
      expect(shapesOf(parameters)).to.deep.equal({ weight: [8, 6, ...spatial.map(() => 3)], bias: [8] });
    });
  }

  it('layer conv has stride 1, no padding and a bias by default', () => {
    const { shape, parameters } = layerOn([1, 6, 9, 7], (g, x) =>
      conv(g, x, { outChannels: 8, kernelSize: 3 }),
    );
    expect(shape).to.deep.equal([1, 8, 7, 5]);
    expect(Object.keys(shapesOf(parameters))).to.deep.equal(['weight', 'bias']);
  });

  it('layer conv has no bias parameter without bias', () => {
    const { parameters } = layerOn([1, 6, 9, 7], (g, x) =>
      conv(g, x, { outChannels: 8, kernelSize: 3, stride: 2, bias: false }),
    );
    expect(shapesOf(parameters)).to.deep.equal({ weight: [8, 6, 3, 3] });
  });

  it('layer conv has a dilation, and groups that each convolve their own channels', () => {
    const { shape, parameters } = layerOn([1, 6, 9, 7], (g, x) =>
      conv(g, x, { outChannels: 8, kernelSize: 3, dilation: 2, padding: 1, groups: 2, bias: false }),
    );
    // torch.nn.Conv2d(6, 8, 3, dilation=2, padding=1, groups=2)
    expect(shape).to.deep.equal([1, 8, 7, 5]);
    expect(shapesOf(parameters)).to.deep.equal({ weight: [8, 3, 3, 3] });
    expect(parameters[0]!.init).to.deep.equal({ uniform: 1 / Math.sqrt(27) });
  });

  it('layer conv starts weight and bias within ±1/√fan_in, as reset_parameters does', () => {
    // torch.nn.Conv2d(6, 8, 3): fan_in is 6 · 3 · 3.
    const { parameters } = layerOn([1, 6, 9, 7], (g, x) => conv(g, x, { outChannels: 8, kernelSize: 3 }));
    expect(parameters.map(({ init }) => init)).to.deep.equal([
      { uniform: 1 / Math.sqrt(54) },
      { uniform: 1 / Math.sqrt(54) },
    ]);
  });

  it('layer conv refuses a value without spatial dimensions, a value without known channels, and a second declaration', () => {
    const options = { outChannels: 8, kernelSize: 3, padding: 1 };
    const on = (shape: Shape, times = 1) =>
      expect(() =>
        layerOn(shape, (g, x) => {
          for (let i = 1; i < times; i++) conv(g, x, options);
          return conv(g, x, options);
        }),
      );
    on(['N', 6]).to.throw(GraphError, 'rank 2');
    on(['N', 'C', 4, 4]).to.throw(GraphError, 'the channel dimension must be a number');
    on(['N', 6, 4, 4], 2).to.throw(GraphError, "'weight'");
  });
});

describe('sharedConv', () => {
  it('layer sharedConv declares its parameters once and calls the module on every input', () => {
    const g = new GraphBuilder('test');
    const inputs = [8, 4].map((size) => g.input(`x${size}`, 'float32', [1, 6, size, size]));
    const results = sharedConv(g.scope('fpn_conv'), [inputs[0]!, inputs[1]!], {
      outChannels: 5,
      kernelSize: 3,
      padding: 1,
    });
    results.forEach((value, index) => g.output(`y${index}`, value));
    const { parameters, nodes } = g.build();
    expect(shapesOf(parameters)).to.deep.equal({ 'fpn_conv.weight': [5, 6, 3, 3], 'fpn_conv.bias': [5] });
    expect(results.map(({ shape }) => shape)).to.deep.equal([
      [1, 5, 8, 8],
      [1, 5, 4, 4],
    ]);
    expect(nodes.map(({ inputs: [, weight] }) => weight)).to.deep.equal([parameters[0], parameters[0]]);
  });

  it('layer sharedConv refuses inputs that one module cannot take', () => {
    const g = new GraphBuilder('test');
    const inputs = [6, 7].map((channels) => g.input(`x${channels}`, 'float32', [1, channels, 4, 4]));
    expect(() => sharedConv(g, [inputs[0]!, inputs[1]!], { outChannels: 5, kernelSize: 1 })).to.throw(
      GraphError,
      'expects 6 input channels',
    );
  });
});

describe('convTranspose', () => {
  it('layer convTranspose is torch.nn.ConvTranspose2d: its weight has the input channels first', () => {
    const { shape, parameters } = layerOn(['N', 6, 'H', 5], (g, x) =>
      convTranspose(g, x, { outChannels: 8, kernelSize: 2, stride: 2 }),
    );
    expect(shape).to.deep.equal(['N', 8, '2*H', 10]);
    expect(shapesOf(parameters)).to.deep.equal({ weight: [6, 8, 2, 2], bias: [8] });
  });

  it('layer convTranspose takes fan_in from the second dimension of its weight, the output channels', () => {
    // torch.nn.ConvTranspose2d(6, 8, 2): fan_in is 8 · 2 · 2.
    const { parameters } = layerOn([1, 6, 4, 4], (g, x) =>
      convTranspose(g, x, { outChannels: 8, kernelSize: 2 }),
    );
    expect(parameters.map(({ init }) => init)).to.deep.equal([
      { uniform: 1 / Math.sqrt(32) },
      { uniform: 1 / Math.sqrt(32) },
    ]);
  });

  it('layer convTranspose has no bias parameter without bias', () => {
    const { parameters } = layerOn([1, 6, 4, 4, 4], (g, x) =>
      convTranspose(g, x, { outChannels: 8, kernelSize: 2, bias: false }),
    );
    expect(shapesOf(parameters)).to.deep.equal({ weight: [6, 8, 2, 2, 2] });
  });
});
