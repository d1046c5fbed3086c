import { expect } from 'chai';
import { it } from 'mocha';
import { lineChart } from '../../lib/html/chart.js';
import { html } from '../../lib/html/html.js';
import { page, table } from '../../lib/html/page.js';
import { describeInBrowser, launch } from '../web/chromium.js';

/** A page with everything that a report may have, and text that is wider than a telephone. */
function report(): string {
  const points = [1e-3, 0, NaN, 1].map((y, x) => ({ x, y, name: `node${x}` }));
  const series = ['native', 'wasm'].map((name) => ({ name, points }));
  const name = 'layer'.repeat(40);
  return page(name, [
    html`<p>${name}</p>
      <dl>
        <dt>Inputs</dt>
        <dd>${name}</dd>
      </dl>`,
    lineChart({ title: 'Error', xLabel: 'node', yLabel: 'error', isLog: true, series }),
    table(
      'Nodes',
      ['a', 'b', 'c', 'd'].map((head) => ({ head, cells: [name] })),
    ),
  ]);
}

describeInBrowser('A report', function () {
  it('page obeys its own policy, asks for no other file and fits 360 pixels, light and dark', async () => {
    const browser = await launch({ gpu: false });
    try {
      for (const colorScheme of ['light', 'dark'] as const) {
        const tab = await browser.newPage({ viewport: { width: 360, height: 640 }, colorScheme });
        const complaints: string[] = [];
        tab.on('console', (message) => complaints.push(message.text()));
        tab.on('request', (request) => complaints.push(request.url()));
        await tab.setContent(report());
        expect(complaints).to.deep.equal([]);
        const width = await tab.evaluate<number>('document.documentElement.scrollWidth');
        const background = await tab.evaluate<string>('getComputedStyle(document.body).backgroundColor');
        expect(width).to.equal(360);
        expect(background).to.equal(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(20, 23, 28)');
      }
    } finally {
      await browser.close();
    }
  });
});
