/**
 * The networks that can be read from the folders that diffusers and timm save: {@link PRETRAINED} is the table of them, and
 * {@link graphFromConfig} reads a `config.json` by it.
 */
import { CheckpointError } from '../lib/errors.js';
import type { Graph } from '../lib/graph/types.js';
import { nearestName } from '../lib/nearest.js';
import { isObject } from '../lib/options.js';
import type { InputType } from './shared/definition.js';
import { autoencoderKlPretrained } from './diffusers/autoencoder-kl.js';
import { unet2dConditionPretrained } from './diffusers/unet-2d-condition.js';
import { unet2dPretrained } from './diffusers/unet-2d.js';
import { allowedValues, isAllowed, isListType, type OptionSpec } from './shared/options.js';
import { resnetGnPretrained } from './timm/resnet-gn.js';
import { resnetV2BitPretrained } from './timm/resnetv2-bit.js';
import {
  type Config,
  type Pretrained,
  type PretrainedOptions,
  showValue,
  unsupportedOption,
} from './shared/pretrained.js';

/** The table of the networks. */
export const PRETRAINED: readonly Pretrained[] = [
  autoencoderKlPretrained,
  unet2dPretrained,
  unet2dConditionPretrained,
  resnetGnPretrained,
  resnetV2BitPretrained,
];

/** A configuration that was recognised. */
export interface RecognisedConfig {
  readonly pretrained: Pretrained;
  /** The name of the class in the configuration. */
  readonly className: string;
  /** The options of {@link Pretrained.graph}. */
  readonly options: PretrainedOptions;
}

/** Options of {@link graphFromConfig}. */
export interface FromConfigOptions extends InputType {
  /** The part of the network, where it has parts: `decoder`. Default: the default of the graph's option `part`. */
  readonly part?: string | undefined;
}

/**
 * Builds the canonical graph of a configuration that diffusers or timm saved: the object in `config.json`.
 *
 * ```ts
 * const config = JSON.parse(await readFile('vae/config.json', 'utf8'));
 * const graph = graphFromConfig(config, { part: 'decoder', dtype: 'float16' });
 * ```
 * @returns A graph whose inputs have the names of PyTorch's `forward`, and whose parameters have the state_dict's keys.
 * @throws CheckpointError `CONFIG_INVALID`, `UNKNOWN_ARCHITECTURE` with the known classes, `UNSUPPORTED_OPTION` with the
 *   key and what is supported; the errors of the graph's `build`.
 */
export function graphFromConfig(config: object, { part, ...input }: FromConfigOptions = {}): Graph {
  const { pretrained, options } = recogniseConfig(config, part);
  return pretrained.graph.build(options, input);
}

/**
 * Finds the network of a configuration, and its options.
 * @throws The errors of {@link graphFromConfig}, but for those of the graph.
 */
export function recogniseConfig(
  config: object,
  part?: string,
  table: readonly Pretrained[] = PRETRAINED,
): RecognisedConfig {
  const { library, className, keys } = readLayout(config);
  const pretrained = table.find((entry) => entry.library === library && entry.classes.includes(className));
  if (!pretrained) {
    throw new CheckpointError(
      'UNKNOWN_ARCHITECTURE',
      `the configuration is of the class '${className}' of ${library}, which cannot be read; known: ${knownClasses(table)}`,
    );
  }
  const options = {
    ...pretrained.defaults?.(className),
    ...optionsByName(pretrained, keys, className),
    ...pretrained.options?.(keys, className),
    ...partOption(pretrained, className, part),
  };
  return { pretrained, className, options };
}

/** Returns the classes of a table, for messages and help. */
export function knownClasses(table: readonly Pretrained[] = PRETRAINED): string {
  const libraries = [...new Set(table.map(({ library }) => library))];
  const classesOf = (library: string) =>
    table.filter((entry) => entry.library === library).flatMap(({ classes }) => classes);
  return libraries.map((library) => `${classesOf(library).join(', ')} (${library})`).join('; ');
}

/** A configuration, split into the library and the class that it is of, and the keys that describe the network. */
interface Layout {
  readonly library: Pretrained['library'];
  readonly className: string;
  readonly keys: Config;
}

/**
 * Reads either library's layout. diffusers has all keys in one object, and an underscore before those about the file. timm
 * has the constructor's arguments in `model_args`, and beside them the number of classes; all else is about preprocessing.
 */
function readLayout(config: object): Layout {
  if (!isObject(config)) throw invalid('it is not a JSON object');
  const { _class_name: className, architecture, model_args: given } = config;
  if (typeof className === 'string') {
    const entries = Object.entries(config).filter(([key]) => !key.startsWith('_'));
    return { library: 'diffusers', className, keys: Object.fromEntries(entries) };
  }
  if (typeof architecture === 'string') {
    if (given !== undefined && given !== null && !isObject(given))
      throw invalid("'model_args' is not an object");
    return {
      library: 'timm',
      className: architecture,
      keys: { ...timmArguments(config), ...(given as Config | undefined) },
    };
  }
  const hint = Array.isArray(config.architectures)
    ? '; it is of transformers, whose networks cannot be read'
    : '';
  throw invalid(`it has neither '_class_name' (diffusers) nor 'architecture' (timm)${hint}`);
}

/**
 * Returns the arguments that timm takes from beside `model_args`: what it recorded of the pretrained network, in
 * `pretrained_cfg` or, in older files, in the configuration itself. Without a number of channels a network has three.
 */
function timmArguments(config: Config): Config {
  const recorded = isObject(config.pretrained_cfg) ? config.pretrained_cfg : config;
  const size = recorded.input_size;
  const channels: unknown = Array.isArray(size) ? size[0] : undefined;
  const found = {
    num_classes: config.num_classes ?? recorded.num_classes,
    global_pool: config.global_pool ?? recorded.global_pool,
    in_chans: channels === 3 ? undefined : channels,
  };
  return Object.fromEntries(
    Object.entries(found).filter(([, value]) => value !== undefined && value !== null),
  );
}

const invalid = (problem: string): CheckpointError =>
  new CheckpointError('CONFIG_INVALID', `the configuration cannot be read: ${problem}`);

/** Returns the options that the keys of the configuration name, and refuses keys that it does not know. */
function optionsByName(
  { graph, ignored = [], supported = {}, reads = [] }: Pretrained,
  keys: Config,
  className: string,
): PretrainedOptions {
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(keys)) {
    if (ignored.includes(key) || reads.includes(key)) continue;
    const name = camelCase(key);
    if (Object.hasOwn(supported, key)) requireSupported(className, key, value, supported[key]!);
    else if (Object.hasOwn(graph.options, name)) {
      options[name] = optionValue(graph.options[name]!, value, className, key);
    } else throw unknownKey(className, key, Object.keys(graph.options));
  }
  return options;
}

function requireSupported(className: string, key: string, value: unknown, allowed: readonly unknown[]): void {
  const json = allowed.map((one) => JSON.stringify(one));
  if (json.includes(showValue(value))) return;
  throw unsupportedOption(className, key, value, json.join(', '));
}

function optionValue(spec: OptionSpec, given: unknown, className: string, key: string): unknown {
  // In Python `None` is false: the configuration of Stable Diffusion XL has upcast_attention null.
  if (given === null && spec.type === 'boolean') return false;
  const value = isListType(spec.type) && given !== null && !Array.isArray(given) ? [given] : given;
  if (value === null ? spec.default === null : isAllowed(spec, value)) return value;
  throw unsupportedOption(className, key, given, allowedValues(spec));
}

function unknownKey(className: string, key: string, names: readonly string[]): CheckpointError {
  const near = nearestName(key, names.map(snakeCase));
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  return new CheckpointError(
    'UNSUPPORTED_OPTION',
    `the configuration of ${className} has the unknown option ${key}${hint}, which may change what the network computes; ` +
      'export this network from PyTorch',
  );
}

function partOption({ graph }: Pretrained, className: string, part: string | undefined): PretrainedOptions {
  if (part === undefined) return {};
  const choices = graph.options.part?.choices;
  if (choices?.includes(part)) return { part };
  throw new CheckpointError(
    'UNSUPPORTED_OPTION',
    choices
      ? `${className} has no part '${part}'; its parts: ${choices.join(', ')}`
      : `${className} has no parts`,
  );
}

const camelCase = (key: string): string => key.replace(/_+(.)/g, (_, letter: string) => letter.toUpperCase());

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
