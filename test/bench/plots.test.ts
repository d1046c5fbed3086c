/** The plots of the docs, against the reports beside them. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PLOTS } from '../../bench/plots/plots.js';
import { renderPlot, THEMES } from '../../bench/plots/render.js';

const FOLDER = fileURLToPath(new URL('../../docs/plots/', import.meta.url));

describe('plots of the docs', () => {
  for (const [name, { benchmark, read }] of Object.entries(PLOTS)) {
    it(`${name} is drawn from the report beside it, to the byte, light and dark`, async () => {
      for (const theme of THEMES) {
        const svg = await renderPlot(read(`${FOLDER}${benchmark}.json`), theme);
        expect(
          svg === readFileSync(`${FOLDER}${name}-${theme}.svg`, 'utf8'),
          `${name}-${theme}.svg differs: npm run bench -- --draw --plot docs/plots`,
        ).to.equal(true);
      }
    });
  }

  it('the same report gives the same bytes again', async () => {
    const { benchmark, read } = PLOTS['group-norm']!;
    const draw = () => renderPlot(read(`${FOLDER}${benchmark}.json`), 'light');
    expect(await draw()).to.equal(await draw());
  });
});
