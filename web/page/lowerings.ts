/** Shows the lowerings against each other, in time and in error. */
import { formatDifference, formatDuration, formatDigits } from '../../lib/quantities.js';
import type { Difference, LoweringsResult } from '../protocol.js';
import { element, scrolling, table } from './dom.js';

const HEAD = ['GroupNorm as', 'Median', '', 'Quartiles', 'Largest difference', 'Of the tolerance'];

export function loweringsPanel({ provider, inputs, rounds, lowerings }: LoweringsResult): Node[] {
  const most = Math.max(...lowerings.map(({ milliseconds }) => milliseconds?.median ?? 0));
  const rows = lowerings.map(({ name, milliseconds, difference, problem }) => [
    name,
    ...(milliseconds
      ? [
          formatDuration(milliseconds.median),
          bar(milliseconds.median / most),
          `${formatDuration(milliseconds.low)} to ${formatDuration(milliseconds.high)}`,
        ]
      : [`does not run: ${problem}`, '', '–']),
    formatDifference(difference?.maxAbs),
    shareOf(difference),
  ]);
  return [
    scrolling(
      'Lowerings',
      table(`One call on ${provider}, ${rounds} paired rounds; ${inputs.join('; ')}`, HEAD, rows),
    ),
    element('p', {
      className: 'note',
      textContent:
        "Differences are those of the model's outputs from the outputs with reduce-mean, the lowering that is right however large " +
        'the mean of a group is. 100 % of the tolerance is what torch.testing.assert_close allows. op is what ONNX Runtime does ' +
        'with the operator itself: it inlines the definition.',
    }),
  ];
}

const shareOf = (difference: Difference | undefined): string =>
  difference ? `${formatDigits(100 * difference.toleranceUsed, 2)} %` : '–';

const SVG = 'http://www.w3.org/2000/svg';

/** Draws a share of the whole width. The number stands beside it. */
function bar(share: number): SVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'bar');
  svg.setAttribute('aria-hidden', 'true');
  const rect = document.createElementNS(SVG, 'rect');
  rect.setAttribute('width', `${100 * share}%`);
  rect.setAttribute('height', '100%');
  svg.append(rect);
  return svg;
}
