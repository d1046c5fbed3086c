import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { FLOAT_DTYPES, type Shape, tensor } from '../../../lib/tensor.js';
import { elementAt, filledBy, itComputes, numbers } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<{ axis: number }>('concat', (g, values, options) => op.concat(g, values, options));
describeTable<op.SliceOptions>('slice', (g, [x], options) => op.slice(g, x!, options));
describeTable<op.SplitOptions & { part: number }>(
  'split',
  (g, [x], { axis, sizes, part }) => op.split(g, x!, { axis, sizes })[part]!,
);

describeTable<op.GatherOptions>('gather', (g, [x, indices], options) => op.gather(g, x!, indices!, options));

describe('gather', () => {
  itComputes('gather gives the rows at the indices, negative ones counted from the end', {
    inputs: [numbers([5, 3]), tensor('int64', [2, 2], BigInt64Array.of(4n, 0n, -1n, 2n))],
    call: (g, [x, indices]) => op.gather(g, x!, indices!),
    expected: (x) => [filledBy([2, 2, 3], (i, j, k) => elementAt(x, [5, 3], [4, 0, 4, 2][2 * i + j]!, k))],
    dtypes: FLOAT_DTYPES,
    declared: [
      ['A', 3],
      ['N', 2],
    ],
  });

  it('gather writes its axis counted from the start', () => {
    const { g, x } = setUp();
    const [node] = nodesOf(g, op.gather(g, x, g.input('i', 'int32', ['M']), { axis: -1 }));
    expect(node).to.deep.include({ opType: 'Gather', attributes: { axis: { type: 'INT', value: 3 } } });
    expect(node!.outputs[0]!.shape).to.deep.equal(['N', 4, 'H', 'M']);
  });

  it('gather refuses indices that are not integers, an axis that does not exist, and a missing input', () => {
    const { g, x } = setUp();
    const i = g.input('i', 'int64', ['M']);
    expectGraphError(() => op.gather(g, x, x), 'INVALID_DTYPE', "Gather: indices 'x'", 'int32 or int64');
    expectGraphError(() => op.gather(g, x, i, { axis: 4 }), 'INVALID_ATTRIBUTE', 'axis 4', '-4 to 3');
    expectGraphError(() => op.gather(g, x, undefined!), 'MISSING_VALUE', 'Gather: indices');
  });
});

describe('split', () => {
  itComputes('split gives each part its elements', {
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

  it('split is one node with several results', () => {
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

  it('split refuses invalid sizes, and sizes with another sum', () => {
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

function setUp(shape: Shape = ['N', 4, 'H', 'W']) {
  const g = new GraphBuilder('test');
  return { g, x: g.input('x', 'float32', shape) };
}

describe('slice', () => {
  it('slice writes starts and ends unchanged, and axes counted from the start', () => {
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

  it('slice copies the given lists', () => {
    const { g, x } = setUp();
    const options = { starts: [0], ends: [3], axes: [1] };
    const [node] = nodesOf(g, op.slice(g, x, options));
    for (const list of Object.values(options)) list[0] = 9;
    const { starts, ends, axes } = node!.attributes;
    expect([starts, ends, axes].map((attribute) => attribute!.value)).to.deep.equal([[0], [3], [1]]);
  });

  it('slice refuses lists of different lengths, an axis twice, and indices that are not integers', () => {
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

describe('concat', () => {
  it('concat adds names and numbers, and writes its axis counted from the start', () => {
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

  it('concat takes a number, or else the shorter expression, for dimensions that must be equal', () => {
    const { g } = setUp();
    const up = g.input('up', 'float32', ['N', 8, '2*floor(H/2)', 8]);
    const skip = g.input('skip', 'float32', ['N', 8, 'H', 'W']);
    expect(op.concat(g, [up, skip], { axis: 1 }).shape).to.deep.equal(['N', 16, 'H', 8]);
    expect(op.concat(g, [skip, up], { axis: 1 }).shape).to.deep.equal(['N', 16, 'H', 8]);
  });

  it('concat names the values that do not fit', () => {
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

  it('concat refuses an empty list, a missing input, mixed dtypes, scalars, and axes that do not exist', () => {
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
