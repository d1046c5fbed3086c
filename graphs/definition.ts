import { GraphError } from '../lib/errors.js';
import type { Graph } from '../lib/graph/types.js';
import { requireKnownOptions } from '../lib/options.js';
import { type DType, isFloatDType, type Shape } from '../lib/tensor.js';

/** One option of an architecture, under PyTorch's name in camelCase. */
export interface OptionSpec {
  /** `integer` is a number without a fraction. */
  readonly type: 'integer' | 'number' | 'boolean';
  /** What the command line's help says of it. */
  readonly description: string;
  /** Absent: the option must be given. */
  readonly default?: number | boolean;
  /** Smallest value allowed of a number. */
  readonly min?: number;
  /** Largest value allowed of a number. */
  readonly max?: number;
}

type OptionValue<Spec extends OptionSpec> = Spec['type'] extends 'boolean' ? boolean : number;

/** The values of an architecture's options, all of them set. */
export type OptionValues<Specs extends Record<string, OptionSpec>> = {
  readonly [Name in keyof Specs]: OptionValue<Specs[Name]>;
};

type WithDefault<Specs extends Record<string, OptionSpec>> = {
  [Name in keyof Specs]: Specs[Name] extends { readonly default: number | boolean } ? Name : never;
}[keyof Specs];

/** The options that a caller must give; of a network that is not known by name, nobody can say. */
type RequiredNames<Specs extends Record<string, OptionSpec>> = string extends keyof Specs
  ? never
  : Exclude<keyof Specs, WithDefault<Specs>>;

/**
 * What a caller gives of an architecture's options: those without a default, and of the others what it likes. Of a
 * network that is not known by name it is anything, and checked at run time alone.
 */
export type GivenOptions<Specs extends Record<string, OptionSpec>> = string extends keyof Specs
  ? Readonly<Record<string, unknown>>
  : keyof Specs extends never
    ? Readonly<Record<string, never>>
    : { readonly [Name in RequiredNames<Specs>]: OptionValue<Specs[Name]> } & {
        readonly [Name in WithDefault<Specs>]?: OptionValue<Specs[Name]> | undefined;
      };

/** The arguments of `build`: the options may be left out where none must be given. */
type BuildArguments<Specs extends Record<string, OptionSpec>> = [RequiredNames<Specs>] extends [never]
  ? [options?: GivenOptions<Specs>, input?: InputType]
  : [options: GivenOptions<Specs>, input?: InputType];

/** How the graph's input is declared. */
export interface InputType {
  /** Dtype of the input and of all parameters. Default float32. */
  readonly dtype?: DType | undefined;
  /** Shape of the input `x`. Default: all dimensions but the channels symbolic. */
  readonly shape?: Shape | undefined;
}

/** A network of the registry. Of one whose name is known only at run time, the options are checked only then. */
export interface GraphDefinition<Specs extends Record<string, OptionSpec> = Record<string, OptionSpec>> {
  /** As `getGraph` and the command line call it. */
  readonly name: string;
  /** One line on what it is, with its inputs and outputs. */
  readonly description: string;
  /** What {@link GraphDefinition.build} takes, by name. */
  readonly options: Readonly<Specs>;
  /**
   * Builds the canonical graph: input `x`, parameters under PyTorch's state_dict keys.
   * @throws OptionError `UNKNOWN_OPTION`, GraphError `INVALID_ATTRIBUTE`, and whatever building it finds wrong.
   */
  build(...given: BuildArguments<Specs>): Graph;
}

/** Declares a network: checks and completes the options before `build` sees them. */
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
