/** Makes a form of a network's options, with the labels, bounds and defaults that the library gives. */
import type { GraphDefinition, OptionSpec } from '../../lib/browser.js';
import { element } from './dom.js';

/** The value of an option without a default, as in the examples of the command line. */
const example = (name: string): number => (name === 'numGroups' ? 8 : 32);

const idOf = (name: string): string => `option-${name}`;

/** The values of a network's options, or of those that the page knows. */
export type OptionFieldValues = Readonly<Record<string, NonNullable<OptionSpec['default']>>>;

export const optionFields = (definition: GraphDefinition, values: OptionFieldValues = {}): HTMLElement[] =>
  Object.entries(definition.options).map(([name, spec]) =>
    optionField(name, spec, values[name] ?? (spec.default === undefined ? example(name) : spec.default)),
  );

function optionField(name: string, spec: OptionSpec, value: OptionSpec['default']): HTMLElement {
  const hint = element('small', { id: `${idOf(name)}-hint`, textContent: spec.description });
  const input = valueField(spec, value);
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

/** An option without a value (`null`) is an empty field; the elements of a list have commas between them. */
function valueField(spec: OptionSpec, value: OptionSpec['default']): HTMLInputElement {
  if (spec.type === 'boolean') return element('input', { type: 'checkbox', checked: value === true });
  const common = { value: String(value ?? ''), required: spec.default !== null };
  if (spec.type !== 'integer' && spec.type !== 'number') {
    const text = element('input', { type: 'text', ...common });
    text.dataset.type = spec.type;
    return text;
  }
  const bounds = { min: String(spec.min ?? ''), max: String(spec.max ?? '') };
  return element('input', {
    type: 'number',
    ...common,
    ...bounds,
    step: spec.type === 'integer' ? '1' : 'any',
  });
}

/** Reads the options. Leaves out empty fields and texts that are not numbers: the library then names the missing option. */
export function readOptions(fields: HTMLElement): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const input of fields.querySelectorAll('input')) {
    if (input.type === 'checkbox') options[input.name] = input.checked;
    else if (input.type === 'text' && input.value) options[input.name] = readText(input);
    else if (!Number.isNaN(input.valueAsNumber)) options[input.name] = input.valueAsNumber;
  }
  return options;
}

function readText({ value, dataset }: HTMLInputElement): unknown {
  const parts = value.split(',').map((part) => part.trim());
  if (dataset.type === 'integers') return parts.map(Number);
  if (dataset.type === 'booleans') return parts.map((part) => part === 'true');
  return dataset.type === 'strings' ? parts : value.trim();
}
