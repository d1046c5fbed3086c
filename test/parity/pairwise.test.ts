import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { pairsOf, pairwise, type Row } from '../support/pairwise.js';
import { groupNormMatrix, networkMatrix } from '../support/parity-matrix.js';

const pairsIn = (rows: readonly Row[]): string[] => [...new Set(rows.flatMap(pairsOf))].sort();

const rows = fc.uniqueArray(
  fc.record({ a: fc.nat(5), b: fc.nat(3), c: fc.nat(2), d: fc.nat(1) }, { noNullPrototype: true }),
  { selector: (row) => JSON.stringify(row), maxLength: 60 },
);

describe('pairwise', () => {
  it('pairwise keeps each pair of values of its rows, and only rows that it got', () => {
    fc.assert(
      fc.property(rows, (all) => {
        const chosen = pairwise(all);
        expect(pairsIn(chosen)).to.deep.equal(pairsIn(all));
        expect(all).to.include.members(chosen);
        expect(new Set(chosen).size).to.equal(chosen.length);
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  it('pairwise returns no row of an empty product', () => {
    expect(pairwise([])).to.deep.equal([]);
  });

  for (const [name, matrix] of Object.entries({ groupNormMatrix, networkMatrix })) {
    it(`pairwise keeps each pair of ${name}, in at most a quarter of its rows, and chooses the same rows each time`, () => {
      const all = matrix();
      const chosen = pairwise(all);
      expect(pairsIn(chosen)).to.deep.equal(pairsIn(all));
      expect(chosen.length).to.be.at.most(all.length / 4);
      expect(pairwise(matrix())).to.deep.equal(chosen);
    });
  }
});
