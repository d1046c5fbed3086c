import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<{ target: number[] }>('expand', (g, [x], { target }) => op.expand(g, x!, target));

function setUp() {
  const g = new GraphBuilder('test');
  return { g, x: g.input('x', 'float32', ['N', 1]), target: g.input('target', 'int64', [2]) };
}

describe('expand', () => {
  it('expand writes a list as an int64 constant', () => {
    const { g, x } = setUp();
    const y = op.expand(g, x, [1, 4]);
    expect(y.shape).to.deep.equal(['N', 4]);
    const [node] = nodesOf(g, y);
    const [constant] = g.build().constants;
    expect(node).to.deep.include({ opType: 'Expand', inputs: [x, constant], attributes: {} });
    expect(constant!.data!.data).to.deep.equal(BigInt64Array.of(1n, 4n));
  });

  it('expand takes a value as its target, with the outputShape of the caller', () => {
    const { g, x, target } = setUp();
    const y = op.expand(g, x, target, { outputShape: ['N', 'L'] });
    expect(y.shape).to.deep.equal(['N', 'L']);
    expect(nodesOf(g, y)[0]!.inputs).to.deep.equal([x, target]);
  });

  it('expand refuses a run-time target without outputShape, and a target that is not an int64 vector', () => {
    const { g, x, target } = setUp();
    const outputShape = ['N', 'L'];
    const whole = g.input('whole', 'int32', [2]);
    const matrix = g.input('matrix', 'int64', [2, 1]);
    expectGraphError(() => op.expand(g, x, target), 'INVALID_SHAPE', 'outputShape');
    expectGraphError(() => op.expand(g, x, whole, { outputShape }), 'INVALID_DTYPE', "'whole' [2] is int32");
    expectGraphError(() => op.expand(g, x, matrix, { outputShape }), 'INVALID_DTYPE', "'matrix' [2, 1]");
  });

  it('expand refuses invalid sizes, sizes that do not fit, and a missing input', () => {
    const { g, x } = setUp();
    const fixed = g.input('fixed', 'float32', [2, 3]);
    for (const target of [[-1], [1.5], [NaN]]) {
      expectGraphError(() => op.expand(g, x, target), 'INVALID_ATTRIBUTE', 'target');
    }
    expectGraphError(() => op.expand(g, fixed, [2, 4]), 'SHAPE_MISMATCH', "'fixed' [2, 3]", '[2, 4]');
    expectGraphError(() => op.expand(g, undefined!, [2]), 'MISSING_VALUE', 'Expand');
  });
});
