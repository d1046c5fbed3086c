/** The form that converts a model, and what came of it. */
import { formatBytes } from '../../lib/quantities.js';
import type { Conversion, Converted, OpenModel } from '../protocol.js';
import { byId, element, fillSelect } from './dom.js';
import { download } from './download.js';

const CHOICES: readonly (readonly [Conversion, text: string])[] = [
  ['reduce-mean', 'GroupNorm as reduce-mean: right on every runtime'],
  ['instance-norm', 'GroupNorm as instance-norm'],
  ['layer-norm', 'GroupNorm as layer-norm'],
  ['op', 'GroupNorm as the standard operator'],
  ['merge', 'the standard operator, and opset 21'],
  ['contrib-group-norm', "GroupNorm as ONNX Runtime's operator for CUDA"],
];
const RECIPE = ['batch-norm', 'BatchNorm as GroupNorm, to train again'] as const;

/** Fills the form with what fits the model. */
export function fillConversions({ inspection }: OpenModel): void {
  const conversion = byId('conversion', HTMLSelectElement);
  const groups = byId('groups-part', HTMLElement);
  const hasBatchNorm = 'BatchNormalization' in inspection.model.operators;
  fillSelect(conversion, hasBatchNorm ? [...CHOICES, RECIPE] : CHOICES);
  const showGroups = () => (groups.hidden = conversion.value !== RECIPE[0]);
  conversion.addEventListener('change', showGroups);
  showGroups();
}

export const readConversion = (): { conversion: Conversion; groups: number } => ({
  conversion: byId('conversion', HTMLSelectElement).value as Conversion,
  groups: byId('groups', HTMLInputElement).valueAsNumber,
});

/** @param open Makes the converted model the model of the page. */
export function conversionPanel(converted: Converted, open: () => void): Node[] {
  const { lines, warnings, file, name } = converted;
  return [
    ...lines.map((textContent) => element('p', { textContent })),
    ...(warnings.length > 0
      ? [
          element('h3', { textContent: 'Mind this' }),
          element('ul', {}, ...warnings.map((textContent) => element('li', { textContent }))),
        ]
      : []),
    element(
      'p',
      { className: 'actions' },
      download(
        element('a', { className: 'button' }),
        converted,
        `Download ${name} (${formatBytes(file.size)})`,
      ),
      element('button', { type: 'button', textContent: 'Go on with this model', onclick: open }),
    ),
  ];
}
