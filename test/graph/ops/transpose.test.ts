import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { FLOAT_DTYPES } from '../../../lib/tensor.js';
import { elementAt, filledBy, itComputes, numbers } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.TransposeOptions>('transpose', (g, [x], options) => op.transpose(g, x!, options));

describe('transpose', () => {
  itComputes('transpose moves each element to its place', {
    inputs: [numbers([2, 3, 4])],
    call: (g, [x]) => [op.transpose(g, x!, { perm: [0, -1, 1] }), op.transpose(g, x!)],
    expected: (x) => [
      filledBy([2, 4, 3], (i, j, k) => elementAt(x, [2, 3, 4], i, k, j)),
      filledBy([4, 3, 2], (i, j, k) => elementAt(x, [2, 3, 4], k, j, i)),
    ],
    dtypes: FLOAT_DTYPES,
    declared: [['N', 3, 'L']],
  });

  it('transpose writes perm with axes counted from the start, also by default', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'bool', ['N', 3, 'L']);
    const y = op.transpose(g, x, { perm: [-1, 0, 1] });
    expect(y).to.deep.include({ dtype: 'bool', shape: ['L', 'N', 3] });
    expect(nodesOf(g, op.transpose(g, y)).map(({ attributes }) => attributes)).to.deep.equal([
      { perm: { type: 'INTS', value: [2, 0, 1] } },
      { perm: { type: 'INTS', value: [2, 1, 0] } },
    ]);
  });

  it('transpose refuses a perm that does not have every axis exactly once', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N', 3]);
    for (const perm of [[0], [0, 1, 2], [0, 0], [0, 2], [0, 0.5], 'ab', null] as never[]) {
      expectGraphError(() => op.transpose(g, x, { perm }), 'INVALID_ATTRIBUTE', 'Transpose', "'x' [N, 3]");
    }
    expectGraphError(
      () => op.transpose(g, g.input('s', 'float32', []), { perm: [0] }),
      'INVALID_ATTRIBUTE',
      'each of the 0 axes',
    );
    expectGraphError(() => op.transpose(g, undefined!), 'MISSING_VALUE', 'Transpose: x');
  });
});
