/** Shows the times of the lowerings, as a chart and as a table. */
import type { Chart } from 'chart.js';
import { formatDuration } from '../../lib/quantities.js';
import type { TimingsResult } from '../protocol.js';
import { drawTimings } from './chart.js';
import { byId, element, show, table } from './dom.js';

const place = byId('timings', HTMLElement);
let chart: Chart | undefined;
let shown: TimingsResult | undefined;

export function showTimings(result: TimingsResult): void {
  shown = result;
  const { provider, input, rounds, lowerings } = result;
  const canvas = element('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'Bar chart of the times in the table below');
  chart?.destroy();
  show(
    place,
    element('h3', { textContent: `One call on ${provider}` }),
    element('div', { className: 'chart' }, canvas),
    table(
      `Input ${input}, ${rounds} paired rounds`,
      ['GroupNorm as', 'Median', 'First quartile', 'Third quartile'],
      lowerings.map(({ name, milliseconds: { median, low, high } }) => [
        name,
        ...[median, low, high].map(formatDuration),
      ]),
    ),
  );
  chart = drawTimings(canvas, result);
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  if (shown) showTimings(shown);
});
