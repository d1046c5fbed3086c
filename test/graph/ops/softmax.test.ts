import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { elementAt, filledBy, itComputes, listed, numbers } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.SoftmaxOptions>('softmax', (g, [x], options) => op.softmax(g, x!, options));

const DIMS = [2, 3, 5];

/** exp(x − max) / Σ exp(x − max) along one axis. */
const reference = (x: Float64Array, along: number) =>
  filledBy(DIMS, (...index) => {
    const row = Array.from({ length: DIMS[along]! }, (_, i) => elementAt(x, DIMS, ...index.with(along, i)));
    const largest = Math.max(...row);
    const sum = row.reduce((total, value) => total + Math.exp(value - largest), 0);
    return Math.exp(elementAt(x, DIMS, ...index) - largest) / sum;
  });

describe('softmax', () => {
  for (const axis of [0, 1, -1]) {
    itComputes(`softmax sums to 1 along axis ${axis}`, {
      inputs: [numbers(DIMS)],
      call: (g, [x]) => op.softmax(g, x!, { axis }),
      expected: (x) => [reference(x, axis < 0 ? axis + 3 : axis)],
      declared: [['N', 3, 'L']],
    });
  }

  itComputes('softmax does not overflow', {
    inputs: [listed([1, 3], [1000, 1001, -60000])],
    call: (g, [x]) => op.softmax(g, x!),
    expected: () => [
      [
        [1, 3],
        [1 / (1 + Math.E), Math.E / (1 + Math.E), 0],
      ],
    ],
  });

  it('softmax writes the axis counted from the start', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float16', ['N', 'L']);
    expect(nodesOf(g, op.softmax(g, x))[0]).to.deep.include({
      opType: 'Softmax',
      attributes: { axis: { type: 'INT', value: 1 } },
    });
  });

  it('softmax refuses integers, scalars, and an input that is not a value', () => {
    const g = new GraphBuilder('test');
    expectGraphError(() => op.softmax(g, g.input('i', 'int64', ['N'])), 'INVALID_DTYPE', 'Softmax', 'int64');
    expectGraphError(
      () => op.softmax(g, g.input('s', 'float32', [])),
      'INVALID_ATTRIBUTE',
      'a scalar has none',
    );
    expectGraphError(() => op.softmax(g, undefined!), 'MISSING_VALUE', 'Softmax: x');
  });
});
