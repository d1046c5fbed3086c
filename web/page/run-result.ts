/** Shows the result of a run: pictures, figures, and for the demo the comparison with PyTorch. */
import { formatDifference, formatDuration, formatNumber } from '../../lib/quantities.js';
import type { Comparison, Picture, RunResult } from '../protocol.js';
import { byId, definitions, element, show, table } from './dom.js';

const place = byId('result', HTMLElement);

export function showRun(result: RunResult): void {
  const { outputs, pictures, comparison } = result;
  show(
    place,
    element('h3', { textContent: 'The result' }),
    ...(comparison ? [verdict(comparison)] : []),
    ...result.fallbacks.map(({ provider, reason }) =>
      element('p', { className: 'note', textContent: `${provider} is not used: ${reason}` }),
    ),
    element('div', { className: 'pictures' }, ...pictures.map(draw)),
    definitions(rowsOf(result)),
    table(
      'Outputs',
      ['Output', 'Type', 'Least', 'Largest', 'Mean', 'NaN or infinite'],
      outputs.map(({ name, type, min, max, mean, notFinite }) => [
        name,
        type,
        ...[min, max, mean].map(formatNumber),
        String(notFinite),
      ]),
    ),
  );
}

function verdict({ framework, passed, samePixels, pixels, maxAbs, rtol, atol }: Comparison): HTMLElement {
  const same = samePixels === pixels;
  return element('p', {
    id: 'verdict',
    className: passed && same ? 'good' : 'bad',
    textContent:
      `${passed && same ? 'As in PyTorch' : 'NOT as in PyTorch'} (${framework}): ${samePixels} of ${pixels} pixels of ` +
      `the mask are the same; the largest difference of a logit is ${formatDifference(maxAbs)}, tolerance ` +
      `${atol.toExponential()} + ${rtol.toExponential()} · |expected|.`,
  });
}

const rowsOf = (result: RunResult): [string, string][] => [
  ['Ran on', result.provider],
  ['GroupNorm as', result.groupNorm ?? 'written in the model'],
  ['Input', result.input],
  ['Loading', formatDuration(result.loadMilliseconds)],
  ['First run', formatDuration(result.runMilliseconds)],
];

function draw({ title, width, height, data }: Picture): HTMLElement {
  const canvas = element('canvas', { width, height });
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `${title}, ${width} × ${height} pixels`);
  canvas.getContext('2d')!.putImageData(new ImageData(data, width, height), 0, 0);
  return element('figure', {}, canvas, element('figcaption', { textContent: title }));
}
