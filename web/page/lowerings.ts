/** Shows the lowerings against each other, in time and in error. */
import type { LoweringError } from '../../lib/insight/inspect/lowering-error.js';
import { formatDifference, formatDuration, formatDigits } from '../../lib/quantities.js';
import type { LoweringsResult } from '../protocol.js';
import { element, scrolling, table } from './dom.js';

const HEAD = [
  'GroupNorm as',
  'Median',
  'Error of the norms',
  'Of the tolerance',
  'Outputs, from reduce-mean',
  'Quartiles',
  '',
];

export function loweringsPanel({ provider, inputs, rounds, lowerings }: LoweringsResult): Node[] {
  const most = Math.max(...lowerings.map(({ milliseconds }) => milliseconds?.median ?? 0));
  const rows = lowerings.map(({ name, milliseconds, error, difference, problem }) => [
    name,
    milliseconds ? formatDuration(milliseconds.median) : `does not run: ${problem}`,
    formatDifference(error?.maxAbs),
    shareOf(error),
    formatDifference(difference),
    ...(milliseconds
      ? [
          `${formatDuration(milliseconds.low)} to ${formatDuration(milliseconds.high)}`,
          bar(milliseconds.median / most),
        ]
      : ['–', '']),
  ]);
  return [
    scrolling(
      'Lowerings',
      table(`One call on ${provider}, ${rounds} paired rounds; ${inputs.join('; ')}`, HEAD, rows),
    ),
    ...NOTES.map((textContent) => element('p', { className: 'note', textContent })),
  ];
}

const NOTES = [
  'Error of the norms: the largest distance from float64, over every GroupNorm of this run, of the result before scale and bias, ' +
    'whose deviation is about 1. 100 % of the tolerance is what torch.testing.assert_close allows in float32.',
  'Outputs, from reduce-mean: the largest difference of an output of the model from its value with reduce-mean. Both have ' +
    'rounding errors of the whole network, so that this does not say which is right.',
  'op is what ONNX Runtime does with the operator itself: it has no kernel, and computes the definition in its place.',
];

const shareOf = (error: LoweringError | undefined): string =>
  error ? `${formatDigits(100 * error.toleranceUsed, 2)} %` : '–';

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
