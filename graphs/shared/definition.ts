/** What a network of the registry is: its options, how they are checked, and what builds its graph. */
import { GraphError } from '../../lib/errors.js';
import type { Graph } from '../../lib/graph/types.js';
import { requireKnownOptions } from '../../lib/options.js';
import { type DType, isFloatDType, type Shape } from '../../lib/tensor.js';
import {
  completeOptions,
  type GivenOptions,
  type OptionSpec,
  type OptionValues,
  type RequiredNames,
} from './options.js';

/** The arguments of `build`: the options may be left out if no option is required. */
type BuildArguments<Specs extends Record<string, OptionSpec>> = [RequiredNames<Specs>] extends [never]
  ? [options?: GivenOptions<Specs>, input?: InputType]
  : [options: GivenOptions<Specs>, input?: InputType];

/** How the inputs of a graph are declared. */
export interface InputType {
  /** The dtype of the float inputs and of all parameters: a float. Default float32. */
  readonly dtype?: DType | undefined;
  /**
   * The shape of the first input, or the shapes of any inputs by name. Default: the sizes that the options give, and
   * names for all others. A size or a name that stands for a dimension in one input does so in every input:
   * `[1, 4, 64, 64]` for `sample` gives `timestep` the shape `[1]`.
   */
  readonly shape?: Shape | Readonly<Record<string, Shape>> | undefined;
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
   * Builds the canonical graph: inputs under the names of PyTorch's `forward`, parameters under PyTorch's state_dict keys.
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
