import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { FLOAT_DTYPES } from '../../../lib/tensor.js';
import { elementAt, filledBy, itComputes, numbers } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.SplitOptions & { part: number }>(
  'split',
  (g, [x], { axis, sizes, part }) => op.split(g, x!, { axis, sizes })[part]!,
);

describe('split', () => {
  itComputes('gives each part its elements', {
    inputs: [numbers([2, 6, 3])],
    call: (g, [x]) => op.split(g, x!, { axis: 1, sizes: [1, 3, 2] }),
    expected: (x) =>
      [
        [1, 0],
        [3, 1],
        [2, 4],
      ].map(([size, first]) =>
        filledBy([2, size!, 3], (i, j, k) => elementAt(x, [2, 6, 3], i, j + first!, k)),
      ),
    dtypes: FLOAT_DTYPES,
    declared: [['N', 'C', 'L']],
  });

  it('is one node of several results', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'int64', ['N', 6]);
    const parts = op.split(g, x, { axis: -1, sizes: [4, 2] });
    expect(parts.map(({ dtype, shape }) => [dtype, shape])).to.deep.equal([
      ['int64', ['N', 4]],
      ['int64', ['N', 2]],
    ]);
    const [node] = nodesOf(g, parts[1]!);
    expect(node).to.deep.include({ opType: 'Split', attributes: { axis: { type: 'INT', value: 1 } } });
    expect(node!.outputs).to.deep.equal(parts);
  });

  it('refuses sizes that are none, or do not add up', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N', 6]);
    for (const sizes of [[], [-1, 7], [0.5], undefined, 3] as never[]) {
      expectGraphError(() => op.split(g, x, { axis: 1, sizes }), 'INVALID_ATTRIBUTE', 'Split: sizes');
    }
    expectGraphError(
      () => op.split(g.scope('qkv'), x, { axis: 1, sizes: [2, 3] }),
      'SHAPE_MISMATCH',
      "Split 'qkv': sizes [2, 3] add up to 5, but axis 1 of 'x' [N, 6] is 6",
    );
    expectGraphError(() => op.split(g, x, { axis: 2, sizes: [6] }), 'INVALID_ATTRIBUTE', 'axis 2');
    expectGraphError(() => op.split(g, undefined!, { axis: 0, sizes: [1] }), 'MISSING_VALUE', 'Split: x');
  });
});
