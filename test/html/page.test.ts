import { expect } from 'chai';
import { describe, it } from 'mocha';
import { createHash } from 'node:crypto';
import { lineChart } from '../../lib/html/chart.js';
import { html } from '../../lib/html/html.js';
import { page, table } from '../../lib/html/page.js';

const HOSTILE = `<script>alert("1")</script> & 'x'\u202e`;
const ESCAPED = '&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;x&#39;\\u202e';

/** Returns the places of the points of a chart, [x in percent, y in pixels from the top], and whether each is hollow. */
const pointsOf = (chart: string) =>
  [...chart.matchAll(/<circle\s+class="(\w+)"\s+cx="([\d.]+)%"\s+cy="([\d.]+)"/g)].map(([, place, x, y]) => ({
    x: Number(x),
    y: Number(y),
    isHollow: place === 'edge',
  }));

const chartOf = (values: readonly number[], isLog = false) =>
  lineChart({
    title: 'Error by depth',
    xLabel: 'node',
    yLabel: 'error',
    isLog,
    series: [{ name: 'cpu', points: values.map((y, x) => ({ x, y, name: `node${x}` })) }],
  }).text;

describe('html', () => {
  it('html escapes text in elements and attributes, and shows characters that do not print', () => {
    expect(html`<p title="${HOSTILE}">${HOSTILE}</p>`.text).to.equal(`<p title="${ESCAPED}">${ESCAPED}</p>`);
  });

  it('html puts HTML in as it is, lists part by part, and leaves undefined and false out', () => {
    const parts = [html`<b>${1}</b>`, '<', undefined, false, 0] as const;
    expect(html`<p>${parts}</p>`.text).to.equal('<p><b>1</b>&#60;0</p>');
  });

  it('page escapes its title, and its policy allows its own style and no other part', () => {
    const text = page(HOSTILE, html`<p>content</p>`);
    expect(text).to.include(`<title>${ESCAPED}</title>`).and.to.include(`<h1>${ESCAPED}</h1>`);
    const style = /<style>([^]*?)<\/style>/.exec(text)![1]!;
    const hash = createHash('sha256').update(style).digest('base64');
    expect(text).to.include(`content="default-src 'none'; style-src 'sha256-${hash}'"`);
    expect(text).not.to.match(/<script|<link|<img|https?:|style="|url\(/);
  });

  it('table writes its rows with the first cell as the head of the row', () => {
    const { text } = table('Norms', [
      { head: 'name', cells: ['a', '<b>'] },
      { head: 'groups', isNumeric: true, cells: [32, undefined] },
    ]);
    expect([...text.matchAll(/<t[dh][^>]*>([^<]*)<\/t[dh]>/g)].map(([, cell]) => cell)).to.deep.equal([
      'name',
      'groups',
      'a',
      '32',
      '&#60;b&#62;',
      '',
    ]);
    expect(text.match(/<th scope="row"/g)).to.have.length(2);
    expect(text.match(/class="number"/g)).to.have.length(3);
  });

  it('lineChart places the points of a linear axis from its lowest tick to its highest', () => {
    // Ticks of x: 0, 0.5, 1, 1.5, 2; of y: 0, 20, 40, 60, 80, 100.
    expect(pointsOf(chartOf([0, 50, 100]))).to.deep.equal([
      { x: 0, y: 260, isHollow: false },
      { x: 50, y: 130, isHollow: false },
      { x: 100, y: 0, isHollow: false },
    ]);
  });

  it('lineChart places the points of a log axis by their logarithm', () => {
    const chart = chartOf([1e-6, 1e-4, 1e-2], true);
    expect(pointsOf(chart).map(({ y }) => y)).to.deep.equal([260, 130, 0]);
    expect(chart)
      .to.match(/>1e-6</)
      .and.to.match(/>1e-2</);
  });

  it('lineChart shows values outside the axis as hollow points at its edges and breaks the line there', () => {
    const chart = chartOf([1e-3, 0, 1e-1, NaN, Infinity], true);
    expect(pointsOf(chart).map(({ y, isHollow }) => [y, isHollow])).to.deep.equal([
      [260, false],
      [260, true],
      [0, false],
      [0, true],
      [0, true],
    ]);
    expect(chart).to.include(
      'A hollow point is not on the axis: its value is 0 or below, NaN or an infinity.',
    );
    expect(chart).not.to.match(/<line x1="[\d.]+%"/);
  });

  for (const values of [[], [3], [0, 0], [NaN], [1e308, -1e308], [5e-324, 5e-324], [-2, -2, -2]])
    for (const isLog of [false, true])
      it(`lineChart draws ${JSON.stringify(values)} on a ${isLog ? 'log' : 'linear'} axis with finite places`, () => {
        const chart = chartOf(values, isLog);
        expect(chart.replaceAll(/<title>[^<]*<\/title>|<figcaption>[^<]*/g, '')).not.to.match(
          /NaN|Infinity|undefined/,
        );
        const points = pointsOf(chart);
        expect(points).to.have.length(values.length);
        for (const { x, y } of points) {
          expect(x).to.be.within(0, 100);
          expect(y).to.be.within(0, 260);
        }
      });

  it('lineChart names each point, each series and each mark', () => {
    const { text } = lineChart({
      title: 'T',
      xLabel: 'depth',
      yLabel: 'error',
      series: [{ name: 'cpu', points: [{ x: 1, y: 0.5, name: 'layer1' }] }],
      marks: [{ y: 1, name: 'tolerance' }],
    });
    expect(text).to.include('<title>layer1: 0.5 (cpu)</title>').and.to.include('>tolerance<');
    expect(text).to.include('role="img"').and.to.include('aria-label="T"');
  });
});
