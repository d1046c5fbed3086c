/** The figures of README and docs, against the reports of the benchmarks. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { format, resolveConfig } from 'prettier';
import { fillFigures, PAGES, pathOf, readPage } from '../../scripts/docs/figures.js';

describe('figures of the docs', () => {
  for (const page of PAGES) {
    it(`${page} has the figures of the reports in docs/plots`, async () => {
      const text = readPage(page);
      const options = { ...(await resolveConfig(pathOf(page))), parser: 'markdown' };
      expect(text, 'npm run docs:figures writes them').to.equal(await format(fillFigures(text), options));
    });
  }

  it('a comment that names other figures, or that has no end, is an error', () => {
    expect(() => fillFigures('<!-- figures: no.such -->1<!-- end -->')).to.throw("no figures 'no.such'");
    expect(() => fillFigures('<!-- figures: price.table -->')).to.throw('does not have its <!-- end -->');
    expect(() => fillFigures('<!-- figures: group-norm.ms 1x1x1x1 native -->1<!-- end -->')).to.throw(
      "does not have 1x1x1x1, 'native'",
    );
  });
});
