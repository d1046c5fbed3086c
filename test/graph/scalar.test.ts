import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../lib/graph/builder.js';
import { scalar, scalarOption } from '../../lib/graph/checks.js';
import type { DType } from '../../lib/tensor.js';
import { expectGraphError } from './support.js';

describe('graph/scalar', () => {
  it('scalar is a constant of no dimensions', () => {
    const value = scalar(new GraphBuilder('test'), 'float16', 1);
    expect(value).to.deep.include({ kind: 'constant', dtype: 'float16', shape: [] });
    expect(value.data!.data).to.deep.equal(Uint16Array.of(0x3c00));
  });

  it('scalarOption takes what the dtype can hold, and rounds floats', () => {
    const g = new GraphBuilder('test');
    for (const [dtype, value] of [
      ['float32', 0.1],
      ['float16', -65504],
      ['bfloat16', Infinity],
      ['float64', -Infinity],
      ['int32', -(2 ** 31)],
      ['int64', 2 ** 53 - 1],
      ['bool', 1],
    ] as [DType, number][]) {
      expect(scalarOption(g, 'Clip', 'min', value, dtype)).to.include({ dtype });
    }
    for (const [dtype, value] of [
      ['float32', NaN],
      ['float32', 1e39],
      ['float16', 65520],
      ['float64', '1'],
      ['float64', undefined],
      ['int32', 0.5],
      ['int32', 2 ** 31],
      ['int64', Infinity],
      ['int64', 2 ** 53],
      ['bool', 256],
    ] as [DType, number][]) {
      expectGraphError(
        () => scalarOption(g.scope('a'), 'Clip', 'min', value, dtype),
        'INVALID_ATTRIBUTE',
        `Clip 'a': min ${String(value)} must be a number that ${dtype} can hold`,
      );
    }
  });
});
