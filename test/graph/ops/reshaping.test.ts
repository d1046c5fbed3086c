import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Shape } from '../../../lib/tensor.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<{ axis?: number }>('flatten', (g, [x], options) => op.flatten(g, x!, options));
describeTable<{ target: number[] }>('reshape', (g, [x], { target }) => op.reshape(g, x!, target));
describeTable('shape', (g, [x]) => op.shape(g, x!));

function setUp(shape: Shape = ['N', 4, 'H', 'W']) {
  const g = new GraphBuilder('test');
  return { g, x: g.input('x', 'float32', shape) };
}

describe('shape', () => {
  it('shape gives int64 with one element per dimension, for any dtype', () => {
    const g = new GraphBuilder('test');
    const y = op.shape(g, g.input('flags', 'bool', ['N', 2]));
    expect(y).to.deep.include({ dtype: 'int64', shape: [2] });
    expect(nodesOf(g, y)[0]).to.deep.include({ opType: 'Shape', attributes: {} });
  });

  it('shape refuses a missing input', () => {
    expectGraphError(() => op.shape(new GraphBuilder('test'), undefined!), 'MISSING_VALUE', 'Shape');
  });
});

describe('reshape to a list', () => {
  it('reshape to a list writes the list as an int64 constant', () => {
    const { g, x } = setUp();
    const y = op.reshape(g.scope('norm'), x, [0, 2, -1]);
    expect(y.shape).to.deep.equal(['N', 2, '2*H*W']);
    g.output('y', y);
    const { nodes, constants } = g.build();
    expect(nodes[0]).to.deep.include({ opType: 'Reshape', inputs: [x, constants[0]], attributes: {} });
    expect(constants[0]).to.deep.include({ name: '/norm/shape', dtype: 'int64', shape: [3] });
    expect(constants[0]!.data!.data).to.deep.equal(BigInt64Array.of(0n, 2n, -1n));
  });

  it('reshape to a list cancels the dimensions that it copies', () => {
    const { g, x } = setUp(['N', 'C', 6]);
    expect(op.reshape(g, x, [0, 0, -1, 3]).shape).to.deep.equal(['N', 'C', 2, 3]);
    expectGraphError(
      () => op.reshape(g, x, [0, 0, -1, 4]),
      'SHAPE_MISMATCH',
      "'x' [N, C, 6]",
      '[0, 0, -1, 4]',
    );
    expectGraphError(() => op.reshape(g, x, [0, 0, 7]), 'SHAPE_MISMATCH');
  });

  it('reshape to a list lets a name be any size that makes the target fit', () => {
    const { g, x } = setUp(['N', 3]);
    expect(op.reshape(g, x, [6]).shape).to.deep.equal([6]);
    expect(op.reshape(g, x, [-1, 2]).shape).to.deep.equal(['N+floor(N/2)', 2]);
  });

  it("reshape to a list takes the caller's names for the result", () => {
    const { g, x } = setUp(['N', 6]);
    expect(op.reshape(g, x, [0, 2, -1], { outputShape: ['B', 2, 3] }).shape).to.deep.equal(['B', 2, 3]);
    for (const outputShape of [
      ['N', 2, 4],
      ['N', 6],
    ]) {
      expectGraphError(
        () => op.reshape(g, x, [0, 2, -1], { outputShape }),
        'SHAPE_MISMATCH',
        'outputShape',
        '[N, 2, 3]',
      );
    }
  });

  it('reshape to a list refuses a missing input', () => {
    expectGraphError(() => op.reshape(new GraphBuilder('test'), undefined!, [1]), 'MISSING_VALUE', 'Reshape');
  });

  it('reshape to a list infers 0, but refuses to infer a size beside a copied 0', () => {
    const { g, x } = setUp([0, 4]);
    expect(op.reshape(g, x, [-1, 4]).shape).to.deep.equal([0, 4]);
    expect(op.reshape(g, x, [0, 7]).shape).to.deep.equal([0, 7]);
    expectGraphError(() => op.reshape(g, x, [0, -1]), 'SHAPE_MISMATCH', '[0, -1]');
  });

  for (const target of [[-1, -1], [-2, 4], [2.5], [NaN], [1, 1, 4, 6, 0], undefined!]) {
    it(`reshape to a list refuses the target ${JSON.stringify(target)}`, () => {
      const { g, x } = setUp();
      expectGraphError(() => op.reshape(g, x, target), 'INVALID_ATTRIBUTE', 'target', '[N, 4, H, W]');
    });
  }
});

describe('reshape to a value', () => {
  it('reshape to a value has the outputShape of the caller', () => {
    const { g, x } = setUp();
    const target = g.input('target', 'int64', [3]);
    const y = op.reshape(g, x, target, { outputShape: ['N', 2, '2*H*W'] });
    expect(y.shape).to.deep.equal(['N', 2, '2*H*W']);
    expect(nodesOf(g, y)[0]!.inputs).to.deep.equal([x, target]);
  });

  it('reshape to a value refuses a target without outputShape', () => {
    const { g, x } = setUp();
    const target = g.input('target', 'int64', [3]);
    expectGraphError(() => op.reshape(g, x, target), 'INVALID_SHAPE', "target 'target' [3]", 'outputShape');
  });

  it('reshape to a value refuses a target that is not an int64 vector with one element per dimension', () => {
    const { g, x } = setUp();
    const outputShape = ['N', 'M'];
    const whole = g.input('whole', 'int32', [2]);
    expectGraphError(() => op.reshape(g, x, whole, { outputShape }), 'INVALID_DTYPE', 'int32', 'int64');
    for (const shape of [[3], [2, 1], []]) {
      const target = g.input(`target${shape.length}`, 'int64', shape);
      expectGraphError(() => op.reshape(g, x, target, { outputShape }), 'SHAPE_MISMATCH', 'must be [2]');
    }
  });

  it('reshape to a value refuses an outputShape with another number of elements', () => {
    const { g, x } = setUp([2, 6]);
    const target = g.input('target', 'int64', ['K']);
    expect(op.reshape(g, x, target, { outputShape: [3, 4] }).shape).to.deep.equal([3, 4]);
    expectGraphError(
      () => op.reshape(g, x, target, { outputShape: [3, 5] }),
      'SHAPE_MISMATCH',
      '[2, 6]',
      '[3, 5]',
    );
  });

  it('reshape to a value refuses a target of another graph', () => {
    const { g, x } = setUp();
    const target = new GraphBuilder('other').input('target', 'int64', [1]);
    expectGraphError(() => op.reshape(g, x, target, { outputShape: ['M'] }), 'FOREIGN_VALUE', "'target' [1]");
  });
});

describe('flatten', () => {
  it('flatten multiplies names, and writes its axis counted from the start', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N', 64, 'W', 'H']);
    const y = op.flatten(g, x);
    expect(y.shape).to.deep.equal(['N', '64*H*W']);
    expect(op.flatten(g, x, { axis: -1 }).shape).to.deep.equal(['64*N*W', 'H']);
    expect(nodesOf(g, y)[1]).to.deep.include({
      opType: 'Flatten',
      attributes: { axis: { type: 'INT', value: 3 } },
    });
  });

  it('flatten refuses a missing input', () => {
    expectGraphError(() => op.flatten(new GraphBuilder('test'), undefined!), 'MISSING_VALUE', 'Flatten: x');
  });

  for (const axis of [3, -3, 0.5, NaN]) {
    it(`flatten refuses axis ${axis} of a matrix`, () => {
      const { g, x } = setUp(['N', 3]);
      expectGraphError(
        () => op.flatten(g, x, { axis }),
        'INVALID_ATTRIBUTE',
        `axis ${axis}`,
        'allowed: -2 to 2',
      );
    });
  }
});
