/** Makes a form of a network's options, with the labels, bounds and defaults that the library gives. */
import type { GraphDefinition, OptionSpec } from '../../lib/browser.js';
import { element, fillSelect } from './dom.js';

/** The value of an option without a default, as in the examples of the command line. */
const example = (name: string): number => (name === 'numGroups' ? 8 : 32);

type Control = HTMLInputElement | HTMLSelectElement;

/** Longer forms show the sizes of the network, and fold the other options. */
const MOST_SHOWN = 8;

/** Whether an option is required, or says how large the network is. */
const isSize = ({ type, default: value }: OptionSpec): boolean =>
  value === undefined || (value !== null && (type === 'integer' || type === 'integers'));

const folded = (fields: readonly HTMLElement[]): HTMLElement =>
  element(
    'details',
    { className: 'more' },
    element('summary', { textContent: `${fields.length} more options` }),
    element('div', { className: 'fields' }, ...fields),
  );

/** The fields of a network, and how their values are read. */
export interface OptionFields {
  readonly fields: readonly HTMLElement[];
  /** Returns the options. Empty fields are left out: the library has a default, or names the missing option. */
  read(): Record<string, unknown>;
}

export function optionFields({ options }: GraphDefinition): OptionFields {
  const made = Object.entries(options).map(([name, spec]) => {
    const control = controlOf(name, spec);
    return { name, spec, control, field: fieldOf(name, spec, control) };
  });
  const fieldsOf = (some: typeof made) => some.map(({ field }) => field);
  const sizes = made.filter(({ spec }) => isSize(spec));
  const others = made.filter(({ spec }) => !isSize(spec));
  return {
    fields: made.length > MOST_SHOWN ? [...fieldsOf(sizes), folded(fieldsOf(others))] : fieldsOf(made),
    read: () => Object.fromEntries(made.flatMap(({ name, spec, control }) => valueOf(name, spec, control))),
  };
}

function controlOf(name: string, spec: OptionSpec): Control {
  const { type, min, max, choices } = spec;
  const value = spec.default === undefined ? example(name) : spec.default;
  if (type === 'boolean') return element('input', { type: 'checkbox', checked: value === true });
  if (type === 'string' && choices) {
    const select = element('select');
    fillSelect(
      select,
      choices.map((one) => [one, one]),
    );
    select.value = String(value);
    return select;
  }
  if (type === 'integer' || type === 'number') {
    return element('input', {
      type: 'number',
      value: String(value ?? ''),
      min: String(min ?? ''),
      max: String(max ?? ''),
      step: type === 'integer' ? '1' : 'any',
    });
  }
  return element('input', {
    type: 'text',
    value: value === null ? '' : String(value),
    autocomplete: 'off',
    spellcheck: false,
  });
}

function fieldOf(name: string, { type, description }: OptionSpec, control: Control): HTMLElement {
  control.id = `option-${name}`;
  const isList = /s$/.test(type);
  const hint = element('small', {
    id: `${control.id}-hint`,
    textContent: isList ? `${description} (a list, with commas)` : description,
  });
  control.setAttribute('aria-describedby', hint.id);
  return element(
    'div',
    { className: 'field' },
    element('label', { htmlFor: control.id }, ...breakable(name)),
    control,
    hint,
  );
}

/** Returns a name in camelCase that may break between its words. */
const breakable = (name: string): (Node | string)[] =>
  name.split(/(?=[A-Z])/).flatMap((word, index) => (index > 0 ? [element('wbr'), word] : [word]));

function valueOf(name: string, { type }: OptionSpec, control: Control): [string, unknown][] {
  if (control instanceof HTMLInputElement && control.type === 'checkbox') return [[name, control.checked]];
  const text = control.value.trim();
  if (text === '') return [];
  const list = () => text.split(',').map((part) => part.trim());
  switch (type) {
    case 'string':
      return [[name, text]];
    case 'strings':
      return [[name, list()]];
    case 'booleans':
      return [[name, list().map((part) => (part === 'true' ? true : part === 'false' ? false : part))]];
    case 'integers':
      return [[name, list().map(Number)]];
    default:
      return [[name, Number(text)]];
  }
}
