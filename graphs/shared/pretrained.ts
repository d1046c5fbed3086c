/** What a network says of the configurations that diffusers or timm save of it, and the error for one that it does not support. */
import { CheckpointError } from '../../lib/errors.js';
import type { GraphDefinition } from './definition.js';

/** The keys of a configuration that describe the network, without those that describe the file. */
export type Config = Readonly<Record<string, unknown>>;

/** The values of a graph's options, by name. */
export type PretrainedOptions = Readonly<Record<string, unknown>>;

/**
 * How a network of the registry is read from a configuration.
 *
 * A key of the configuration whose camelCase is an option of the graph is that option: `block_out_channels` is
 * `blockOutChannels`. So the graph's options have the names and the **defaults of the class's constructor**: a
 * configuration of an older version lacks keys. A single value for an option that is a list becomes a list of one element,
 * which the graph takes for all blocks (`layers_per_block: 2` is `[2]`). `null` is the value of options whose default is
 * `null`, and of keys in `supported`; for a boolean it is false, as in Python; elsewhere it is refused. All other keys
 * must be in `ignored`, `supported` or `reads`: a key that is in none of them is refused by name, because it may change
 * what the network computes.
 *
 * Configurations come from strangers: give every number that sets how many layers there are a `max`. Lists have at most 64
 * elements.
 *
 * An example:
 *
 * ```ts
 * export const autoencoderKlPretrained: Pretrained = {
 *   library: 'diffusers',
 *   classes: ['AutoencoderKL'],
 *   graph: autoencoderKlGraph,
 *   ignored: ['sample_size', 'force_upcast'],
 *   supported: { act_fn: ['silu', 'swish'] },
 *   parameterKey: (key) => key.replace(/(attentions\.\d+)\.query\./, '$1.to_q.'),
 *   isUnused: (key, { part }) => part === 'decoder' && /^(encoder|quant_conv)\./.test(key),
 * };
 * ```
 */
export interface Pretrained {
  readonly library: 'diffusers' | 'timm';
  /** Names of the classes: diffusers' `_class_name`, or timm's `architecture`. */
  readonly classes: readonly string[];
  /**
   * The network. If it has the option `part` (with `choices`, such as `autoencoder`, `encoder` and `decoder`), the option
   * `--part` of the command line sets it.
   */
  readonly graph: GraphDefinition;
  /** Returns the options that the name of the class sets where the configuration has no key for them. */
  readonly defaults?: (className: string) => PretrainedOptions;
  /** Keys of the configuration that change nothing in inference: `sample_size`, `dropout`. */
  readonly ignored?: readonly string[];
  /** Keys that no option stands for, with all values for which the graph is right. Other values are refused by name. */
  readonly supported?: Readonly<Record<string, readonly unknown[]>>;
  /** Keys that `options` reads; they need not be options of the graph. */
  readonly reads?: readonly string[];
  /**
   * Returns options that do not follow from a key of the same name: from the name of the class, or from several keys of
   * `reads`. They take precedence.
   * @throws CheckpointError `UNSUPPORTED_OPTION`, made by {@link unsupportedOption}.
   */
  readonly options?: (config: Config, className: string) => PretrainedOptions;
  /** Returns the key of today for a key of an older version, or the same key. */
  readonly parameterKey?: (key: string) => string;
  /** Returns whether a key of the checkpoint has no parameter in the graph of these options: another part's key. */
  readonly isUnused?: (key: string, options: PretrainedOptions) => boolean;
}

/**
 * Makes the error for a value of a configuration for which there is no graph.
 * @param supported The values that are supported: `silu, relu`.
 */
export const unsupportedOption = (
  className: string,
  key: string,
  value: unknown,
  supported: string,
): CheckpointError =>
  new CheckpointError(
    'UNSUPPORTED_OPTION',
    `the configuration of ${className} has ${key} ${showValue(value)}, which is not supported; supported: ${supported}`,
  );

/** The longest value in a message. */
const MOST_CHARACTERS = 100;

/** Formats a value of a configuration as JSON; a value that nests deeper than any option does as `…`. */
export function showValue(value: unknown): string {
  const text = isShallow(value, 3) ? JSON.stringify(value) : '…';
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

/** Returns whether a value has at most so many levels; JSON.stringify overflows the stack for some 10,000. */
const isShallow = (value: unknown, levels: number): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (levels > 0 && Object.values(value).every((part) => isShallow(part, levels - 1)));
