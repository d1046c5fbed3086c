import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { tensor } from '../../../lib/tensor.js';
import { elementAt, filledBy, itComputes, numbers } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

// The table has one dtype for all inputs, and the authorities take the condition as bool.
describeTable('where', (g, [condition, a, b]) => op.where(g, op.cast(g, condition!, 'bool'), a!, b!));

describe('where', () => {
  itComputes('where takes a where the condition is true, and b elsewhere', {
    inputs: [tensor('bool', [3, 1], Uint8Array.of(1, 0, 1)), numbers([2, 1, 4], 'a'), numbers([4], 'b')],
    call: (g, [condition, a, b]) => op.where(g, condition!, a!, b!),
    expected: (condition, a, b) => [
      filledBy([2, 3, 4], (i, j, k) => (condition[j] ? elementAt(a, [2, 1, 4], i, 0, k) : b[k]!)),
    ],
    declared: [['L', 1], ['N', 1, 4], [4]],
  });

  it('where takes any dtype', () => {
    const g = new GraphBuilder('test');
    const condition = g.input('mask', 'bool', ['N']);
    const a = g.input('a', 'int64', []);
    const y = op.where(g, condition, a, a);
    expect(y).to.deep.include({ dtype: 'int64', shape: ['N'] });
    expect(nodesOf(g, y)[0]).to.deep.include({ opType: 'Where', inputs: [condition, a, a], attributes: {} });
  });

  it('where refuses a condition that is not bool, mixed dtypes and shapes that do not broadcast', () => {
    const g = new GraphBuilder('test');
    const mask = g.input('mask', 'bool', [2]);
    const [a, b] = [g.input('a', 'float32', [2]), g.input('b', 'float16', [2])];
    expectGraphError(() => op.where(g, a, a, a), 'INVALID_DTYPE', "condition 'a' [2] is float32", 'bool');
    expectGraphError(() => op.where(g, mask, a, b), 'DTYPE_MISMATCH', 'float16');
    const wide = g.input('wide', 'float32', [3]);
    for (const [one, two] of [
      [a, wide],
      [wide, wide],
    ] as const) {
      expectGraphError(() => op.where(g, mask, one, two), 'SHAPE_MISMATCH', "'mask' [2]", "'wide' [3]");
    }
    expectGraphError(() => op.where(g, mask, a, undefined!), 'MISSING_VALUE', 'b is not a value');
  });
});
