/** What a network of the registry is: its options, how they are checked, and what builds its graph. */
import { GraphError } from '../lib/errors.js';
import type { Graph } from '../lib/graph/types.js';
import { requireKnownOptions } from '../lib/options.js';
import { type DType, isFloatDType, type Shape } from '../lib/tensor.js';

/** One option of a network, under PyTorch's name in camelCase. */
export interface OptionSpec {
  /** The type of the value; `integer` is a number without a fraction. */
  readonly type: 'integer' | 'number' | 'boolean';
  /** What the option does, for the help of the command line. */
  readonly description: string;
  /** The value without the option. Absent: the option is required. */
  readonly default?: number | boolean;
  /** The smallest number allowed. */
  readonly min?: number;
  /** The largest number allowed. */
  readonly max?: number;
}

type OptionValue<Spec extends OptionSpec> = Spec['type'] extends 'boolean' ? boolean : number;

/** The values of all options of a network, defaults included. */
export type OptionValues<Specs extends Record<string, OptionSpec>> = {
  readonly [Name in keyof Specs]: OptionValue<Specs[Name]>;
};

type WithDefault<Specs extends Record<string, OptionSpec>> = {
  [Name in keyof Specs]: Specs[Name] extends { readonly default: number | boolean } ? Name : never;
}[keyof Specs];

/** The names of the required options; `never` for a network whose name is known only at run time. */
type RequiredNames<Specs extends Record<string, OptionSpec>> = string extends keyof Specs
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

/** The arguments of `build`: the options may be left out if no option is required. */
type BuildArguments<Specs extends Record<string, OptionSpec>> = [RequiredNames<Specs>] extends [never]
  ? [options?: GivenOptions<Specs>, input?: InputType]
  : [options: GivenOptions<Specs>, input?: InputType];

/** How the graph's input is declared. */
export interface InputType {
  /** The dtype of the input and of all parameters: a float. Default float32. */
  readonly dtype?: DType | undefined;
  /** The shape of the input `x`. Default: names for all dimensions but the channels. */
  readonly shape?: Shape | undefined;
}

/** A network of the registry. Without type arguments its options are checked at run time only. */
export interface GraphDefinition<Specs extends Record<string, OptionSpec> = Record<string, OptionSpec>> {
  /** The name for `getGraph` and the command line. */
  readonly name: string;
  /** One line on the network, with its inputs and outputs. */
  readonly description: string;
  /** The options of {@link GraphDefinition.build}, by name. */
  readonly options: Readonly<Specs>;
  /**
   * Builds the canonical graph: input `x`, parameters under PyTorch's state_dict keys.
   * @throws OptionError `UNKNOWN_OPTION`; GraphError `INVALID_ATTRIBUTE` for a missing or invalid option, and the errors of
   *   the network's operators, such as `NUM_GROUPS_MISMATCH` and `SHAPE_MISMATCH`.
   */
  build(...given: BuildArguments<Specs>): Graph;
}

/** Declares a network. Checks the options and adds defaults before it calls the network's own `build`. */
export function defineGraph<const Specs extends Record<string, OptionSpec>>(definition: {
  name: string;
  description: string;
  options: Specs;
  build: (options: OptionValues<Specs>, input: InputType & { dtype: DType }) => Graph;
}): GraphDefinition<Specs> {
  const { name, options: specs } = definition;
  return {
    ...definition,
    build(options: object = {}, input: InputType = {}) {
      requireKnownOptions(`the input of graph '${name}'`, input, ['dtype', 'shape']);
      const { dtype = 'float32' } = input;
      if (!isFloatDType(dtype)) {
        throw new GraphError('INVALID_DTYPE', `graph '${name}': ${dtype} is not a float dtype`);
      }
      const complete = completeOptions(name, specs, options as Readonly<Record<string, unknown>>);
      return definition.build(complete as OptionValues<Specs>, { ...input, dtype });
    },
  };
}

function completeOptions(
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
  const value = given ?? spec.default;
  const where = `graph '${graph}': option '${name}'`;
  if (value === undefined) {
    throw new GraphError('INVALID_ATTRIBUTE', `${where} must be given: ${spec.description}`);
  }
  const { min = -Infinity, max = Infinity } = spec;
  const valid =
    spec.type === 'boolean'
      ? typeof value === 'boolean'
      : typeof value === 'number' &&
        value >= min &&
        value <= max &&
        Number.isFinite(value) &&
        (spec.type === 'number' || Number.isSafeInteger(value));
  if (valid) return value;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${where} is ${JSON.stringify(given)} but must be ${allowed(spec)}`,
  );
}

function allowed({ type, min, max }: OptionSpec): string {
  if (type === 'boolean') return 'true or false';
  const bounds = [
    ...(min === undefined ? [] : [`at least ${min}`]),
    ...(max === undefined ? [] : [`at most ${max}`]),
  ];
  const kind = type === 'integer' ? 'an integer' : 'a number';
  return bounds.length === 0 ? kind : `${kind} of ${bounds.join(' and ')}`;
}
