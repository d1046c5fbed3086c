import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Shape } from '../../../lib/tensor.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<{ axis: number }>('concat', (g, values, options) => op.concat(g, values, options));
describeTable<{ target: number[] }>('reshape', (g, [x], { target }) => op.reshape(g, x!, target));
describeTable('shape', (g, [x]) => op.shape(g, x!));
describeTable<op.SliceOptions>('slice', (g, [x], options) => op.slice(g, x!, options));

function setUp(shape: Shape = ['N', 4, 'H', 'W']) {
  const g = new GraphBuilder('test');
  return { g, x: g.input('x', 'float32', shape) };
}

describe('concat', () => {
  it('adds names and numbers, with the axis counted from the front', () => {
    const { g, x } = setUp();
    const other = g.input('other', 'float32', ['N', 6, 'H', 'W2']);
    const y = op.concat(g, [x, other], { axis: -3 });
    expect(y.shape).to.deep.equal(['N', 10, 'H', 'W']);
    expect(op.concat(g, [x, x, x], { axis: 2 }).shape).to.deep.equal(['N', 4, '3*H', 'W']);
    expect(nodesOf(g, y)[0]).to.deep.include({
      opType: 'Concat',
      attributes: { axis: { type: 'INT', value: 1 } },
    });
  });

  it('takes a number, or else the shorter expression, for what must be equal', () => {
    const { g } = setUp();
    const up = g.input('up', 'float32', ['N', 8, '2*floor(H/2)', 8]);
    const skip = g.input('skip', 'float32', ['N', 8, 'H', 'W']);
    expect(op.concat(g, [up, skip], { axis: 1 }).shape).to.deep.equal(['N', 16, 'H', 8]);
    expect(op.concat(g, [skip, up], { axis: 1 }).shape).to.deep.equal(['N', 16, 'H', 8]);
  });

  it('names the values that do not fit', () => {
    const { g, x } = setUp();
    const other = g.input('other', 'float32', ['N', 6, 'H', 3]);
    const odd = g.input('odd', 'float32', ['N', 6, 'H', 2]);
    const flat = g.input('flat', 'float32', ['N', 6]);
    expectGraphError(
      () => op.concat(g.scope('up1'), [x, other, odd], { axis: 1 }),
      'SHAPE_MISMATCH',
      "Concat 'up1': 'x' [N, 4, H, W] and 'odd' [N, 6, H, 2] cannot be joined along axis 1",
    );
    expectGraphError(
      () => op.concat(g, [x, flat], { axis: 1 }),
      'SHAPE_MISMATCH',
      "'flat' [N, 6]",
      'the same rank',
    );
  });

  it('refuses nothing, nothing at some place, mixed dtypes, scalars, and axes that are not there', () => {
    const { g, x } = setUp();
    const whole = g.input('whole', 'int64', ['N', 4, 'H', 'W']);
    const scalar = g.input('scalar', 'float32', []);
    expectGraphError(() => op.concat(g, [], { axis: 0 }), 'MISSING_VALUE', 'input 0');
    expectGraphError(() => op.concat(g, [x, undefined!], { axis: 0 }), 'MISSING_VALUE', 'input 1');
    expectGraphError(() => op.concat(g, [x, whole], { axis: 0 }), 'DTYPE_MISMATCH', 'int64');
    expectGraphError(
      () => op.concat(g, [scalar, scalar], { axis: 0 }),
      'INVALID_ATTRIBUTE',
      'a scalar has none',
    );
    for (const axis of [4, -5, 1.5, NaN]) {
      expectGraphError(
        () => op.concat(g, [x], { axis }),
        'INVALID_ATTRIBUTE',
        `axis ${axis}`,
        'allowed: -4 to 3',
      );
    }
  });
});

describe('shape', () => {
  it('is int64, one element a dimension, of any dtype', () => {
    const g = new GraphBuilder('test');
    const y = op.shape(g, g.input('flags', 'bool', ['N', 2]));
    expect(y).to.deep.include({ dtype: 'int64', shape: [2] });
    expect(nodesOf(g, y)[0]).to.deep.include({ opType: 'Shape', attributes: {} });
  });

  it('refuses a missing input', () => {
    expectGraphError(() => op.shape(new GraphBuilder('test'), undefined!), 'MISSING_VALUE', 'Shape');
  });
});

describe('slice', () => {
  it('writes starts and ends as they are, and axes counted from the front', () => {
    const { g, x } = setUp();
    const y = op.slice(g, x, { starts: [1, 0], ends: [-1, 3], axes: [-1, 1] });
    expect(y.shape).to.deep.equal(['N', 3, 'H', 'max(W-2,0)']);
    expect(nodesOf(g, y)[0]).to.deep.include({
      opType: 'Slice',
      attributes: {
        starts: { type: 'INTS', value: [1, 0] },
        ends: { type: 'INTS', value: [-1, 3] },
        axes: { type: 'INTS', value: [3, 1] },
      },
    });
  });

  it('does not keep the lists that it is given', () => {
    const { g, x } = setUp();
    const options = { starts: [0], ends: [3], axes: [1] };
    const [node] = nodesOf(g, op.slice(g, x, options));
    for (const list of Object.values(options)) list[0] = 9;
    const { starts, ends, axes } = node!.attributes;
    expect([starts, ends, axes].map((attribute) => attribute!.value)).to.deep.equal([[0], [3], [1]]);
  });

  it('refuses lists of different lengths, axes given twice, and indices that are no integers', () => {
    const { g, x } = setUp();
    const good = { starts: [0], ends: [1], axes: [0] };
    const bad = {
      starts: [[], [0, 1], [0.5], [Infinity], undefined],
      ends: [[], [1, 2], [NaN], [2 ** 63]],
      axes: [[], [4], [-5], undefined],
    };
    for (const [option, values] of Object.entries(bad)) {
      for (const value of values) {
        const options = { ...good, [option]: value } as op.SliceOptions;
        expectGraphError(() => op.slice(g, x, options), 'INVALID_ATTRIBUTE', 'Slice');
      }
    }
    const twice = { starts: [0, 0], ends: [1, 1], axes: [1, -3] };
    expectGraphError(() => op.slice(g, x, twice), 'INVALID_ATTRIBUTE', 'twice');
    expectGraphError(() => op.slice(g, undefined!, good), 'MISSING_VALUE');
  });
});

describe('reshape to a list', () => {
  it('gives the list as an int64 constant', () => {
    const { g, x } = setUp();
    const y = op.reshape(g.scope('norm'), x, [0, 2, -1]);
    expect(y.shape).to.deep.equal(['N', 2, '2*H*W']);
    g.output('y', y);
    const { nodes, constants } = g.build();
    expect(nodes[0]).to.deep.include({ opType: 'Reshape', inputs: [x, constants[0]], attributes: {} });
    expect(constants[0]).to.deep.include({ name: '/norm/shape', dtype: 'int64', shape: [3] });
    expect(constants[0]!.data!.data).to.deep.equal(BigInt64Array.of(0n, 2n, -1n));
  });

  it('cancels the dimensions that it copies', () => {
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

  it('lets a name be whatever makes the target fit', () => {
    const { g, x } = setUp(['N', 3]);
    expect(op.reshape(g, x, [6]).shape).to.deep.equal([6]);
    expect(op.reshape(g, x, [-1, 2]).shape).to.deep.equal(['N+floor(N/2)', 2]);
  });

  it('takes the names that the caller has for the result', () => {
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

  it('refuses a missing input', () => {
    expectGraphError(() => op.reshape(new GraphBuilder('test'), undefined!, [1]), 'MISSING_VALUE', 'Reshape');
  });

  it('infers 0, but nothing beside a dimension of 0', () => {
    const { g, x } = setUp([0, 4]);
    expect(op.reshape(g, x, [-1, 4]).shape).to.deep.equal([0, 4]);
    expect(op.reshape(g, x, [0, 7]).shape).to.deep.equal([0, 7]);
    expectGraphError(() => op.reshape(g, x, [0, -1]), 'SHAPE_MISMATCH', '[0, -1]');
  });

  for (const target of [[-1, -1], [-2, 4], [2.5], [NaN], [1, 1, 4, 6, 0], undefined!]) {
    it(`refuses the target ${JSON.stringify(target)}`, () => {
      const { g, x } = setUp();
      expectGraphError(() => op.reshape(g, x, target), 'INVALID_ATTRIBUTE', 'target', '[N, 4, H, W]');
    });
  }
});

describe('reshape to a value', () => {
  it('has the shape that the caller gives', () => {
    const { g, x } = setUp();
    const target = g.input('target', 'int64', [3]);
    const y = op.reshape(g, x, target, { outputShape: ['N', 2, '2*H*W'] });
    expect(y.shape).to.deep.equal(['N', 2, '2*H*W']);
    expect(nodesOf(g, y)[0]!.inputs).to.deep.equal([x, target]);
  });

  it('needs that shape', () => {
    const { g, x } = setUp();
    const target = g.input('target', 'int64', [3]);
    expectGraphError(() => op.reshape(g, x, target), 'INVALID_SHAPE', "target 'target' [3]", 'outputShape');
  });

  it('needs an int64 vector of one element a dimension', () => {
    const { g, x } = setUp();
    const outputShape = ['N', 'M'];
    const whole = g.input('whole', 'int32', [2]);
    expectGraphError(() => op.reshape(g, x, whole, { outputShape }), 'INVALID_DTYPE', 'int32', 'int64');
    for (const shape of [[3], [2, 1], []]) {
      const target = g.input(`target${shape.length}`, 'int64', shape);
      expectGraphError(() => op.reshape(g, x, target, { outputShape }), 'SHAPE_MISMATCH', 'must be [2]');
    }
  });

  it('keeps the number of elements where both are known', () => {
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

  it('refuses a target of another graph', () => {
    const { g, x } = setUp();
    const target = new GraphBuilder('other').input('target', 'int64', [1]);
    expectGraphError(() => op.reshape(g, x, target, { outputShape: ['M'] }), 'FOREIGN_VALUE', "'target' [1]");
  });
});
