/** Makes a form of a network's options, with the labels, bounds and defaults that the library gives. */
import type { GraphDefinition, OptionSpec } from '../../lib/browser.js';
import { element } from './dom.js';

/** The value of an option without a default, as in the examples of the command line. */
const example = (name: string): number => (name === 'numGroups' ? 8 : 32);

const idOf = (name: string): string => `option-${name}`;

export const optionFields = (
  definition: GraphDefinition,
  values: Readonly<Record<string, number | boolean>> = {},
): HTMLElement[] =>
  Object.entries(definition.options).map(([name, spec]) =>
    optionField(name, spec, values[name] ?? spec.default ?? example(name)),
  );

function optionField(name: string, spec: OptionSpec, value: number | boolean): HTMLElement {
  const hint = element('small', { id: `${idOf(name)}-hint`, textContent: spec.description });
  const input =
    spec.type === 'boolean'
      ? element('input', { type: 'checkbox', checked: value === true })
      : element('input', {
          type: 'number',
          value: String(value),
          min: String(spec.min ?? ''),
          max: String(spec.max ?? ''),
          step: spec.type === 'integer' ? '1' : 'any',
          required: true,
        });
  input.id = idOf(name);
  input.name = name;
  input.setAttribute('aria-describedby', hint.id);
  return element(
    'div',
    { className: 'field' },
    element('label', { htmlFor: input.id, textContent: name }),
    input,
    hint,
  );
}

/** Reads the options. Leaves out fields that hold no number: the library then names the missing option. */
export function readOptions(fields: HTMLElement): Record<string, number | boolean> {
  const options: Record<string, number | boolean> = {};
  for (const input of fields.querySelectorAll('input')) {
    if (input.type === 'checkbox') options[input.name] = input.checked;
    else if (!Number.isNaN(input.valueAsNumber)) options[input.name] = input.valueAsNumber;
  }
  return options;
}
