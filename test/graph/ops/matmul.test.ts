import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { type Shape, tensor } from '../../../lib/tensor.js';
import { elementAt, filledBy, itComputes, numbers, OPSETS, runGraph } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable('matMul', (g, [a, b]) => op.matMul(g, a!, b!));

const sum = (length: number, term: (k: number) => number): number =>
  Array.from({ length }, (_, k) => term(k)).reduce((total, value) => total + value, 0);

describe('matMul', () => {
  itComputes('matMul multiplies stacks of matrices that broadcast', {
    inputs: [numbers([2, 1, 3, 4], 'a', 0.5), numbers([5, 4, 2], 'b', 0.5)],
    call: (g, [a, b]) => op.matMul(g, a!, b!),
    expected: (a, b) => [
      filledBy([2, 5, 3, 2], (i, j, m, n) =>
        sum(4, (k) => elementAt(a, [2, 1, 3, 4], i, 0, m, k) * elementAt(b, [5, 4, 2], j, k, n)),
      ),
    ],
    declared: [
      ['A', 1, 'M', 4],
      ['B', 4, 2],
    ],
  });

  itComputes('matMul takes a vector as a row on the left and as a column on the right', {
    inputs: [numbers([4], 'a', 0.5), numbers([3, 4, 2], 'b', 0.5), numbers([2], 'c', 0.5)],
    call: (g, [a, b, c]) => [op.matMul(g, a!, b!), op.matMul(g, b!, c!)],
    expected: (a, b, c) => [
      filledBy([3, 2], (i, n) => sum(4, (k) => a[k]! * elementAt(b, [3, 4, 2], i, k, n))),
      filledBy([3, 4], (i, m) => sum(2, (k) => elementAt(b, [3, 4, 2], i, m, k) * c[k]!)),
    ],
  });

  it('matMul multiplies integers', async () => {
    const g = new GraphBuilder('test');
    const x = g.input('x0', 'int64', [1, 2]);
    g.output('y', op.matMul(g, x, g.constant(tensor('int64', [2, 1], BigInt64Array.of(3n, -4n)))));
    for (const opset of OPSETS) {
      const [y] = await runGraph(g.build(), [tensor('int64', [1, 2], BigInt64Array.of(5n, 7n))], opset);
      expect([...(y!.data as BigInt64Array)]).to.deep.equal([-13n]);
    }
  });

  it('matMul keeps names, and refuses shapes that do not fit', () => {
    const g = new GraphBuilder('test');
    const of = (name: string, shape: Shape) => g.input(name, 'float32', shape);
    const a = of('a', ['N', 'L', 64]);
    const y = op.matMul(g, a, of('b', ['N', 64, 'L']));
    expect(y.shape).to.deep.equal(['N', 'L', 'L']);
    expect(nodesOf(g, y)[0]).to.deep.include({ opType: 'MatMul', attributes: {} });
    expectGraphError(
      () => op.matMul(g.scope('attn'), a, of('c', [32, 8])),
      'SHAPE_MISMATCH',
      "MatMul 'attn': a 'a' [N, L, 64] and b 'c' [32, 8] do not fit: a has 64 columns, but b has 32 rows",
    );
    expectGraphError(
      () => op.matMul(g, of('d', [2, 3, 4]), of('e', [5, 4, 3])),
      'SHAPE_MISMATCH',
      'the dimensions before the last two do not broadcast',
    );
  });

  it('matMul refuses scalars, mixed dtypes, bool, and an input that is not a value', () => {
    const g = new GraphBuilder('test');
    const a = g.input('a', 'float32', [2, 2]);
    const flags = g.input('flags', 'bool', [2, 2]);
    expectGraphError(() => op.matMul(g, a, g.input('s', 'float32', [])), 'RANK_TOO_LOW', "'s' []");
    expectGraphError(() => op.matMul(g, a, g.input('d', 'float64', [2, 2])), 'DTYPE_MISMATCH', 'float64');
    expectGraphError(() => op.matMul(g, flags, flags), 'INVALID_DTYPE', 'bool');
    expectGraphError(() => op.matMul(g, a, undefined!), 'MISSING_VALUE', 'b is not a value');
  });
});
