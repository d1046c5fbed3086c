import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { broadcastShapes } from '../../lib/graph/checks.js';
import { broadcast, broadcastsTo, compatible, merge } from '../../lib/shapes/broadcast.js';
import type { Dim, Shape } from '../../lib/tensor.js';

const dim: fc.Arbitrary<Dim> = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom('N', 'M'));
const shape: fc.Arbitrary<Shape> = fc.array(dim, { maxLength: 4 });

describe('compatible', () => {
  it('compatible is true for equal sizes, and for a name with anything', () => {
    expect(compatible(3, 3)).to.equal(true);
    expect(compatible('N', 3)).to.equal(true);
    expect(compatible(3, 'N')).to.equal(true);
    expect(compatible('N', 'M')).to.equal(true);
    expect(compatible(3, 4)).to.equal(false);
    expect(compatible(0, 1)).to.equal(false);
  });
});

describe('merge', () => {
  it('merge prefers a number, then the shorter expression, then the first dimension', () => {
    expect(merge('N', 3)).to.equal(3);
    expect(merge(3, 'N')).to.equal(3);
    expect(merge('2*floor(H/2)', 'H')).to.equal('H');
    expect(merge('H', '2*floor(H/2)')).to.equal('H');
    expect(merge('A', 'B')).to.equal('A');
  });

  it('merge prefers a name over an unknown dimension, and knows nothing of two different sizes', () => {
    expect(merge('?', 'Batch')).to.equal('Batch');
    expect(merge('Batch', '?')).to.equal('Batch');
    expect(merge('?', 3)).to.equal(3);
    expect(merge(3, 4)).to.equal('?');
  });
});

describe('broadcastShapes', () => {
  it('broadcastShapes lines shapes up at their ends', () => {
    expect(broadcastShapes([2, 3, 5], [3, 1])).to.deep.equal([2, 3, 5]);
    expect(broadcastShapes([], [2, 3])).to.deep.equal([2, 3]);
    expect(broadcastShapes([2, 3], [2])).to.equal(undefined);
  });

  it('broadcastShapes keeps a name against 1 and against itself, and else takes the number', () => {
    expect(broadcastShapes(['N'], [1])).to.deep.equal(['N']);
    expect(broadcastShapes([1], ['N'])).to.deep.equal(['N']);
    expect(broadcastShapes(['N'], ['N'])).to.deep.equal(['N']);
    expect(broadcastShapes(['N'], [5])).to.deep.equal([5]);
  });

  // ONNX Runtime takes equal names for equal sizes, and fails to reuse a buffer where they are not.
  it('broadcastShapes gives neither of two names, because either may be 1', () => {
    expect(broadcastShapes(['N', 8], ['M', 8])).to.deep.equal(['max(M,N)', 8]);
    expect(broadcastShapes(['M'], ['N'])).to.deep.equal(['max(M,N)']);
  });

  it('broadcastShapes does not depend on the order', () => {
    fc.assert(
      fc.property(shape, shape, (a, b) => {
        expect(broadcastShapes(a, b)).to.deep.equal(broadcastShapes(b, a));
      }),
    );
  });
});

describe('broadcast', () => {
  it('broadcast gives an unknown dimension where sizes contradict each other, and keeps the rank', () => {
    expect(
      broadcast([
        [1, 64, 32],
        [1, 64, 48],
      ]),
    ).to.deep.equal([1, 64, '?']);
    expect(broadcast([[2, 3], [2]])).to.deep.equal([2, '?']);
  });

  it('broadcast is undefined if a shape is unknown', () => {
    expect(broadcast([[2, 3], undefined])).to.equal(undefined);
  });

  it('broadcast takes a number for an unknown dimension, and keeps it unknown against a name or 1', () => {
    expect(
      broadcast([
        ['?', '?', '?'],
        [5, 'N', 1],
      ]),
    ).to.deep.equal([5, '?', '?']);
  });
});

describe('broadcastsTo', () => {
  it('broadcastsTo is true if broadcasting leaves the target as it is', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 });
    fc.assert(
      fc.property(sizes, sizes, (from, to) => {
        const result = broadcastShapes(from, to);
        expect(broadcastsTo(from, to)).to.equal(JSON.stringify(result) === JSON.stringify(to));
      }),
      { numRuns: 500 },
    );
  });

  it('broadcastsTo lets a name be any size', () => {
    expect(broadcastsTo(['D', 6], [4, 6])).to.equal(true);
    expect(broadcastsTo([4, 6], ['N', 6])).to.equal(true);
    expect(broadcastsTo(['D', 6], [6])).to.equal(false);
  });
});
