import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { FLOAT_DTYPES } from '../../../lib/tensor.js';
import { itComputes, numbers } from '../runs.js';
import { describeTable, expectGraphError } from '../support.js';

describeTable<op.SqueezeOptions>('squeeze', (g, [x], options) => op.squeeze(g, x!, options));
describeTable<op.UnsqueezeOptions>('unsqueeze', (g, [x], options) => op.unsqueeze(g, x!, options));

describe('squeeze and unsqueeze', () => {
  itComputes('squeeze and unsqueeze keep the elements', {
    inputs: [numbers([2, 1, 3, 1])],
    call: (g, [x]) => [op.squeeze(g, x!, { axes: [-1, 1] }), op.unsqueeze(g, x!, { axes: [-1, 0] })],
    expected: (x) => [
      [[2, 3], x],
      [[1, 2, 1, 3, 1, 1], x],
    ],
    dtypes: FLOAT_DTYPES,
    declared: [['N', 1, 'L', 'A']],
  });

  it('squeeze and unsqueeze take any dtype, and names', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'bool', ['N', 'A']);
    expect(op.squeeze(g, x, { axes: [1] })).to.deep.include({ dtype: 'bool', shape: ['N'] });
    expect(op.unsqueeze(g, x, { axes: [-1, 1] })).to.deep.include({ dtype: 'bool', shape: ['N', 1, 'A', 1] });
  });

  it('squeeze and unsqueeze refuse a size that is not 1, and axes that do not exist or appear twice', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N', 3]);
    expectGraphError(
      () => op.squeeze(g, x, { axes: [1] }),
      'SHAPE_MISMATCH',
      "Squeeze: axis 1 of 'x' [N, 3] is 3, but only one of size 1 can go",
    );
    for (const axes of [[], [2], [0, -2], undefined] as never[]) {
      expectGraphError(() => op.squeeze(g, x, { axes }), 'INVALID_ATTRIBUTE', 'Squeeze');
    }
    for (const axes of [[], [3], [-4], [0, -4], [0.5], undefined, 3] as never[]) {
      expectGraphError(() => op.unsqueeze(g, x, { axes }), 'INVALID_ATTRIBUTE', 'Unsqueeze: axes');
    }
    expectGraphError(() => op.squeeze(g, undefined!, { axes: [0] }), 'MISSING_VALUE', 'Squeeze: x');
    expectGraphError(() => op.unsqueeze(g, undefined!, { axes: [0] }), 'MISSING_VALUE', 'Unsqueeze: x');
  });
});
