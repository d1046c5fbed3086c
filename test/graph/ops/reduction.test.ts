import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.ReduceOptions>('reduceMean', (g, [x], options) => op.reduceMean(g, x!, options));
describeTable<op.ReduceOptions>('reduceProd', (g, [x], options) => op.reduceProd(g, x!, options));

for (const [opType, reduce] of [
  ['ReduceMean', op.reduceMean],
  ['ReduceProd', op.reduceProd],
] as const) {
  describe(opType, () => {
    const setUp = () => {
      const g = new GraphBuilder('test');
      return { g, x: g.input('x', 'float32', ['N', 4, 'H']) };
    };

    it(`${opType} writes its axes counted from the start, in order`, () => {
      const { g, x } = setUp();
      const [node] = nodesOf(g, reduce(g, x, { axes: [-1, 0], keepdims: false }));
      expect(node).to.deep.include({
        opType,
        attributes: { axes: { type: 'INTS', value: [0, 2] }, keepdims: { type: 'INT', value: 0 } },
      });
    });

    it(`${opType} keeps the reduced axes by default`, () => {
      const { g, x } = setUp();
      expect(reduce(g, x, { axes: [1, 2] }).shape).to.deep.equal(['N', 1, 1]);
      expect(reduce(g, x, { axes: [1, 2], keepdims: false }).shape).to.deep.equal(['N']);
    });

    for (const axes of [[3], [-4], [0.5], [1, 1], [2, -1], [], undefined!]) {
      it(`${opType} refuses axes ${JSON.stringify(axes)}`, () => {
        const { g, x } = setUp();
        expectGraphError(() => reduce(g, x, { axes }), 'INVALID_ATTRIBUTE', opType);
      });
    }

    it(`${opType} refuses every axis of a scalar`, () => {
      const { g } = setUp();
      const scalar = g.input('scalar', 'float32', []);
      expectGraphError(() => reduce(g, scalar, { axes: [0] }), 'INVALID_ATTRIBUTE', 'a scalar has none');
    });

    it(`${opType} refuses bool and a missing input`, () => {
      const { g } = setUp();
      const flags = g.input('flags', 'bool', [4]);
      expectGraphError(() => reduce(g, flags, { axes: [0] }), 'INVALID_DTYPE', 'bool');
      expectGraphError(() => reduce(g, undefined!, { axes: [0] }), 'MISSING_VALUE', opType);
    });
  });
}

describe('reduceMean of integers', () => {
  it('reduceMean refuses integers, because ONNX would round the mean', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'int64', [4]);
    expectGraphError(() => op.reduceMean(g, x, { axes: [0] }), 'INVALID_DTYPE', 'int64');
  });
});
