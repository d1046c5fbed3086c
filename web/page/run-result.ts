/** Shows the result of a run: pictures, figures, and for the demo the comparison with PyTorch. */
import { formatDifference, formatDuration, formatNumber } from '../../lib/quantities.js';
import type { Comparison, OutputResult, Picture, RunResult } from '../protocol.js';
import { definitions, element, scrolling, table } from './dom.js';
import { download } from './download.js';

export function runPanel(result: RunResult): Node[] {
  const { outputs, pictures, comparison } = result;
  const best = outputs.flatMap(({ name, best: scores }) =>
    scores.map(([index, value]) => [`${name} [0, ${index}]`, formatNumber(value)]),
  );
  return [
    ...(comparison ? [verdict(comparison)] : []),
    ...notesOf(result).map((textContent) => element('p', { className: 'note', textContent })),
    element('div', { className: 'pictures' }, ...pictures.map(draw)),
    definitions(rowsOf(result)),
    scrolling('Outputs', table('Outputs', HEAD, outputs.map(outputRow))),
    ...(best.length > 0
      ? [table('The largest elements of the first sample', ['Element', 'Value'], best)]
      : []),
  ];
}

const notesOf = ({ fallbacks, isSoftware }: RunResult): string[] => [
  ...fallbacks.map(({ reason }) => `WebGPU was not used, and WebAssembly ran the model: ${reason}`),
  ...(isSoftware ? ['This GPU is software: its times say nothing about a real GPU.'] : []),
];

const HEAD = ['Output', 'Type', 'Least', 'Largest', 'Mean', 'NaN or infinite', 'File'];

const outputRow = ({ name, type, min, max, mean, notFinite, file }: OutputResult): (string | Node)[] => [
  name,
  type,
  ...[min, max, mean].map(formatNumber),
  String(notFinite),
  download(element('a'), { name: `${name.replace(/[^\w.-]/g, '_')}.npy`, file }, '.npy'),
];

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
  ['Inputs', result.inputs.join('; ')],
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
