/** The options of networks: their types, how a value is checked, and what a caller may leave out. */
import { GraphError } from '../../lib/errors.js';
import { requireKnownOptions } from '../../lib/options.js';

/** The value of each type of option. */
interface OptionTypes {
  integer: number;
  number: number;
  boolean: boolean;
  string: string;
  integers: readonly number[];
  booleans: readonly boolean[];
  strings: readonly string[];
}

/** One option of a network, under PyTorch's name in camelCase. */
export interface OptionSpec {
  /** The type of the value: `integer` is a number without a fraction; `integers`, `booleans` and `strings` are lists. */
  readonly type: keyof OptionTypes;
  /** What the option does, for the help of the command line. */
  readonly description: string;
  /** The value without the option; `null`, if there is no value then. Absent: the option is required. */
  readonly default?: OptionTypes[keyof OptionTypes] | null;
  /** The smallest number allowed. In `integers`: for each element. */
  readonly min?: number;
  /** The largest number allowed. In `integers`: for each element. */
  readonly max?: number;
  /** The strings allowed. In `strings`: for each element. Default: any. */
  readonly choices?: readonly string[];
}

/** The type of one element of a list of choices, or of what the option's type says. */
type OptionValue<Spec extends OptionSpec> =
  | (Spec extends { readonly choices: readonly (infer Choice)[] }
      ? Spec['type'] extends 'strings'
        ? readonly Choice[]
        : Choice
      : OptionTypes[Spec['type']])
  | (Spec extends { readonly default: null } ? null : never);

/** The values of all options of a network, defaults included. */
export type OptionValues<Specs extends Record<string, OptionSpec>> = {
  readonly [Name in keyof Specs]: OptionValue<Specs[Name]>;
};

type WithDefault<Specs extends Record<string, OptionSpec>> = {
  [Name in keyof Specs]: Specs[Name] extends { readonly default: unknown } ? Name : never;
}[keyof Specs];

/** The names of the required options; `never` for a network whose name is known only at run time. */
export type RequiredNames<Specs extends Record<string, OptionSpec>> = string extends keyof Specs
  ? never
  : Exclude<keyof Specs, WithDefault<Specs>>;

/**
 * The options that a caller gives: all required ones, and any others. For a network whose name is known only at run
 * time, any object, which is checked at run time.
 */
export type GivenOptions<Specs extends Record<string, OptionSpec>> = string extends keyof Specs
  ? Readonly<Record<string, unknown>>
  : keyof Specs extends never
    ? Readonly<Record<string, never>>
    : { readonly [Name in RequiredNames<Specs>]: OptionValue<Specs[Name]> } & {
        readonly [Name in WithDefault<Specs>]?: OptionValue<Specs[Name]> | undefined;
      };

/**
 * Returns the options that a caller gave with the defaults of the others.
 * @throws OptionError `UNKNOWN_OPTION`; GraphError `INVALID_ATTRIBUTE` for a missing option or a wrong value.
 */
export function completeOptions(
  graph: string,
  specs: Readonly<Record<string, OptionSpec>>,
  options: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  requireKnownOptions(`graph '${graph}'`, options, Object.keys(specs));
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, checkOption(graph, name, spec, options[name])]),
  );
}

function checkOption(graph: string, name: string, spec: OptionSpec, given: unknown): unknown {
  const where = `graph '${graph}': option '${name}'`;
  const value = given ?? spec.default;
  if (value === undefined) {
    throw new GraphError('INVALID_ATTRIBUTE', `${where} must be given: ${spec.description}`);
  }
  if (value === null || isAllowed(spec, value)) return value;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${where} is ${JSON.stringify(given)} but must be ${allowedValues(spec)}`,
  );
}

/** The most elements of a list: more than any published network has, and no burden to build. */
const MAX_ELEMENTS = 64;

/** The types of lists, and the type of their elements. */
const ELEMENT_TYPES = { integers: 'integer', booleans: 'boolean', strings: 'string' } as const;

/** Returns whether a type is a list. */
export const isListType = (type: OptionSpec['type']): type is keyof typeof ELEMENT_TYPES =>
  Object.hasOwn(ELEMENT_TYPES, type);

/** Returns whether an option may have a value. */
export function isAllowed(spec: OptionSpec, value: unknown): boolean {
  const { type, min = -Infinity, max = Infinity, choices } = spec;
  if (isListType(type)) {
    const element = { ...spec, type: ELEMENT_TYPES[type] };
    const isList = Array.isArray(value) && value.length >= 1 && value.length <= MAX_ELEMENTS;
    return isList && value.every((one) => isAllowed(element, one));
  }
  if (type === 'boolean') return typeof value === 'boolean';
  if (type === 'string') return typeof value === 'string' && (choices?.includes(value) ?? true);
  const isInRange = typeof value === 'number' && value >= min && value <= max && Number.isFinite(value);
  return isInRange && (type === 'number' || Number.isSafeInteger(value));
}

/** Returns what an option may be, for messages: `an integer of at least 1`. */
export function allowedValues(spec: OptionSpec): string {
  const { type, min, max, choices } = spec;
  if (isListType(type)) {
    return `a list of 1 to ${MAX_ELEMENTS} elements, each ${allowedValues({ ...spec, type: ELEMENT_TYPES[type] })}`;
  }
  if (type === 'boolean') return 'true or false';
  if (type === 'string') return choices ? `one of ${choices.join(', ')}` : 'a string';
  const bounds = [
    ...(min === undefined ? [] : [`at least ${min}`]),
    ...(max === undefined ? [] : [`at most ${max}`]),
  ];
  const kind = type === 'integer' ? 'an integer' : 'a number';
  return bounds.length === 0 ? kind : `${kind} of ${bounds.join(' and ')}`;
}
