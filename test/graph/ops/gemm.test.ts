import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.GemmOptions>('gemm', (g, [a, b, c], options) => op.gemm(g, a!, b!, c, options));

function setUp() {
  const g = new GraphBuilder('test');
  const x = g.input('x', 'float32', ['N', 3]);
  const weight = g.scope('fc').parameter('weight', { dtype: 'float32', shape: [5, 3] });
  return { g, x, weight };
}

describe('gemm', () => {
  it('gemm writes every attribute', () => {
    const { g, x, weight } = setUp();
    const y = op.gemm(g, x, weight, undefined, { transB: true, alpha: 0.5 });
    expect(y.shape).to.deep.equal(['N', 5]);
    const [node] = nodesOf(g, y);
    expect(node).to.deep.include({ opType: 'Gemm', inputs: [x, weight, undefined] });
    expect(node!.attributes).to.deep.equal({
      alpha: { type: 'FLOAT', value: 0.5 },
      beta: { type: 'FLOAT', value: 1 },
      transA: { type: 'INT', value: 0 },
      transB: { type: 'INT', value: 1 },
    });
  });

  it('gemm says which sizes do not fit', () => {
    const { g, x, weight } = setUp();
    expectGraphError(
      () => op.gemm(g.scope('fc'), x, weight, undefined),
      'SHAPE_MISMATCH',
      "Gemm 'fc': a 'x' [N, 3] and b 'fc.weight' [5, 3] do not fit: a has 3 columns, but b has 5 rows",
    );
    expectGraphError(
      () => op.gemm(g, weight, weight, undefined, { transA: true, transB: true }),
      'SHAPE_MISMATCH',
      "a 'fc.weight' [5, 3] (transposed)",
      'a has 5 columns, but b has 3 rows',
    );
  });

  it('gemm refuses an input that is not a matrix', () => {
    const { g, weight } = setUp();
    for (const shape of [[3], [2, 3, 1], []]) {
      const a = g.input(`a${shape.length}`, 'float32', shape);
      expectGraphError(() => op.gemm(g, a, weight, undefined, { transB: true }), 'SHAPE_MISMATCH', 'rank 2');
    }
  });

  it('gemm refuses a c that would enlarge the product', () => {
    const { g, x, weight } = setUp();
    for (const shape of [[4], [1, 1, 5], [2, 4]]) {
      const c = g.input(`c${shape.join('_')}`, 'float32', shape);
      expectGraphError(
        () => op.gemm(g, x, weight, c, { transB: true }),
        'SHAPE_MISMATCH',
        shape.join(', '),
        '[N, 5]',
      );
    }
  });

  it('gemm refuses mixed dtypes, integers, factors that are not finite and missing matrices', () => {
    const { g, x, weight } = setUp();
    const double = g.input('double', 'float64', [3, 5]);
    const whole = g.input('whole', 'int32', [3, 5]);
    expectGraphError(() => op.gemm(g, x, double, undefined), 'DTYPE_MISMATCH', 'float32', 'float64');
    expectGraphError(() => op.gemm(g, whole, whole, undefined), 'INVALID_DTYPE', 'int32');
    for (const factor of [NaN, Infinity]) {
      expectGraphError(
        () => op.gemm(g, x, weight, undefined, { alpha: factor }),
        'INVALID_ATTRIBUTE',
        'alpha',
      );
      expectGraphError(() => op.gemm(g, x, weight, undefined, { beta: factor }), 'INVALID_ATTRIBUTE', 'beta');
    }
    expectGraphError(() => op.gemm(g, x, undefined!, undefined), 'MISSING_VALUE', 'b is not a value');
  });
});
