import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import { resolveWindow, windowAttributes, windowResult } from '../../lib/graph/window.js';

const g = new GraphBuilder('sample');
const image = g.input('image', 'float32', ['N', 3, 10, 'W']);

describe('graph/window', () => {
  it('steps by 1, without padding and without holes, where nothing else is said', () => {
    expect(resolveWindow(g, 'Conv', image, [3, 5], {})).to.deep.equal({
      kernel: [3, 5],
      strides: [1, 1],
      pads: [0, 0, 0, 0],
      dilations: [1, 1],
    });
  });

  it('keeps copies of the lists that it is given', () => {
    const strides = [2, 2];
    const window = resolveWindow(g, 'Conv', image, [3, 3], { strides });
    strides[0] = 7;
    expect(window.strides).to.deep.equal([2, 2]);
  });

  it('as ONNX attributes has every list', () => {
    const window = { kernel: [3, 5], strides: [1, 2], pads: [0, 1, 2, 3], dilations: [1, 1] };
    expect(windowAttributes(window)).to.deep.equal({
      kernel_shape: { type: 'INTS', value: [3, 5] },
      strides: { type: 'INTS', value: [1, 2] },
      pads: { type: 'INTS', value: [0, 1, 2, 3] },
      dilations: { type: 'INTS', value: [1, 1] },
    });
  });

  it('gives each spatial dimension its own numbers: pads are all beginnings, then all ends', () => {
    const options = { strides: [2, 3], pads: [1, 2, 3, 4], dilations: [5, 6] };
    const window = resolveWindow(g, 'Conv', image, [7, 8], options);
    const seen: unknown[] = [];
    const result = windowResult(g, 'Conv', image, window, (dim, along, index) => {
      seen.push([dim, along, index]);
      return index === 0 ? 4 : 'out';
    });
    expect(result).to.deep.equal([4, 'out']);
    expect(seen).to.deep.equal([
      [10, { kernel: 7, stride: 2, dilation: 5, padBegin: 1, padEnd: 3 }, 0],
      ['W', { kernel: 8, stride: 3, dilation: 6, padBegin: 2, padEnd: 4 }, 1],
    ]);
  });

  it('refuses lists of another length or below their least', () => {
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

  it('refuses a result without elements, and names its dimension', () => {
    const window = resolveWindow(g, 'Conv', image, [11, 1], {});
    expect(() => windowResult(g, 'Conv', image, window, (_, __, index) => (index === 0 ? 0 : 5))).to.throw(
      GraphError,
      "Conv: kernel [11, 1] with strides [1, 1], pads [0, 0, 0, 0] and dilations [1, 1] does not fit the input 'image' " +
        '[N, 3, 10, W]: dimension 2 of the result would be 0, but must be at least 1',
    );
  });
});
