import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import { requireWindowFits, resolveWindow, windowAttributes } from '../../../lib/graph/ops/window.js';
import { alongDim } from '../../../lib/shapes/windows.js';

const g = new GraphBuilder('sample');
const image = g.input('image', 'float32', ['N', 3, 10, 'W']);

describe('the window of convolution and pooling', () => {
  it('a window steps by 1, without padding and without holes, by default', () => {
    expect(resolveWindow(g, 'Conv', image, [3, 5], {})).to.deep.equal({
      kernel: [3, 5],
      strides: [1, 1],
      pads: [0, 0, 0, 0],
      dilations: [1, 1],
    });
  });

  it('a window keeps copies of the given lists', () => {
    const strides = [2, 2];
    const window = resolveWindow(g, 'Conv', image, [3, 3], { strides });
    strides[0] = 7;
    expect(window.strides).to.deep.equal([2, 2]);
  });

  it('a window as ONNX attributes has every list', () => {
    const window = { kernel: [3, 5], strides: [1, 2], pads: [0, 1, 2, 3], dilations: [1, 1] };
    expect(windowAttributes(window)).to.deep.equal({
      kernel_shape: { type: 'INTS', value: [3, 5] },
      strides: { type: 'INTS', value: [1, 2] },
      pads: { type: 'INTS', value: [0, 1, 2, 3] },
      dilations: { type: 'INTS', value: [1, 1] },
    });
  });

  it('a window has its own numbers for each spatial dimension, and pads list all beginnings, then all ends', () => {
    const options = { strides: [2, 3], pads: [1, 2, 3, 4], dilations: [5, 6] };
    const window = resolveWindow(g, 'Conv', image, [7, 8], options);
    expect([0, 1].map((index) => alongDim(window, index))).to.deep.equal([
      { kernel: 7, stride: 2, dilation: 5, padBegin: 1, padEnd: 3 },
      { kernel: 8, stride: 3, dilation: 6, padBegin: 2, padEnd: 4 },
    ]);
  });

  it('resolveWindow refuses a list of another length, and a number that is too small', () => {
    const bad: [kernel: number[], options: object, message: string][] = [
      [[3], {}, 'kernel shape [3] must be a list of 2 integers of at least 1'],
      [[3, 0], {}, 'kernel shape [3, 0]'],
      [[3, 3], { strides: [1] }, 'strides [1] must be a list of 2 integers of at least 1'],
      [[3, 3], { strides: [0, 1] }, 'strides [0, 1]'],
      [[3, 3], { dilations: [1, 1, 1] }, 'dilations [1, 1, 1]'],
      [[3, 3], { pads: [1, 1] }, 'pads [1, 1] must be a list of 4 integers of at least 0'],
      [[3, 3], { pads: [0, 0, 0, -1] }, 'pads [0, 0, 0, -1]'],
      [[3, 3], { pads: 1 }, 'pads 1 must be'],
    ];
    for (const [kernel, options, message] of bad) {
      expect(() => resolveWindow(g, 'Conv', image, kernel, options))
        .to.throw(GraphError, `Conv: ${message}`)
        .with.property('code', 'INVALID_ATTRIBUTE');
    }
  });

  it('requireWindowFits refuses a result without elements, and names its dimension', () => {
    const window = resolveWindow(g, 'Conv', image, [11, 1], {});
    expect(requireWindowFits(g, 'Conv', image, window, ['N', 0, 4, 'out'])).to.deep.equal(['N', 0, 4, 'out']);
    expect(() => requireWindowFits(g, 'Conv', image, window, ['N', 8, 0, 5])).to.throw(
      GraphError,
      "Conv: kernel [11, 1] with strides [1, 1], pads [0, 0, 0, 0] and dilations [1, 1] does not fit the input 'image' " +
        '[N, 3, 10, W]: dimension 2 of the result would be 0, but must be at least 1',
    );
  });
});
