/** Shows the content of a model, and offers the model for download. */
import { formatBytes, plural } from '../../lib/quantities.js';
import type { BuildResult, ModelSummary } from '../protocol.js';
import { byId, definitions, element, show, table } from './dom.js';

const place = byId('summary', HTMLElement);
let url: string | undefined;

export function showModel({ summary, bytes }: BuildResult): void {
  if (url !== undefined) URL.revokeObjectURL(url);
  url = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
  const download = element('a', {
    id: 'download',
    className: 'button',
    href: url,
    download: `${summary.graph}.onnx`,
    textContent: `Download ${summary.graph}.onnx (${formatBytes(summary.bytes)})`,
  });
  show(
    place,
    element('h3', { textContent: 'The model' }),
    definitions(rowsOf(summary)),
    table('Operators', ['Operator', 'Nodes'], operatorRows(summary)),
    element('p', {}, download),
  );
}

const rowsOf = (summary: ModelSummary): [string, string][] => [
  ['Graph', summary.graph],
  ['Opset', `${summary.opset}, IR version ${summary.irVersion}`],
  ['GroupNorm as', summary.lowering],
  [
    'Parameters',
    `${plural(summary.parameterTensors, 'tensor')}, ${summary.parameterElements.toLocaleString('en')} elements`,
  ],
  ['File size', formatBytes(summary.bytes)],
  ...summary.inputs.map(({ name, type }): [string, string] => [`Input ${name}`, type]),
  ...summary.outputs.map(({ name, type }): [string, string] => [`Output ${name}`, type]),
];

const operatorRows = ({ operators }: ModelSummary): string[][] =>
  operators.map(([opType, count]) => [opType, String(count)]);
