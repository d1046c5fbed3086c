/** A network's options as flags: `numGroups` is `--num-groups`. */
import { Option } from 'commander';
import type { GraphDefinition, OptionSpec } from '../../graphs/definition.js';
import { parseInteger, parseNumber } from './arguments.js';
import { RequiredOption } from './required-option.js';

/** The flags of a network, under a heading of their own in its help. */
export const graphFlags = (definition: GraphDefinition): Option[] =>
  Object.entries(definition.options).map(([name, spec]) => toFlag(name, spec).helpGroup('Graph options:'));

/** The options that were given, and commander's defaults for the rest, by their own names. */
export function graphOptionsOf(
  definition: GraphDefinition,
  parsed: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const names = Object.keys(definition.options).filter((name) => parsed[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, parsed[name]]));
}

/** Values for the options that must be given, so that an example can be pasted: groups divide everything else. */
export const exampleFlags = (definition: GraphDefinition): string[] =>
  Object.entries(definition.options)
    .filter(([, spec]) => spec.default === undefined && spec.type !== 'boolean')
    .map(([name]) => `--${kebabCase(name)} ${name === 'numGroups' ? 8 : 32}`);

const kebabCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function toFlag(name: string, spec: OptionSpec): Option {
  const flag = kebabCase(name);
  if (spec.type === 'boolean') {
    return spec.default === true
      ? new Option(`--no-${flag}`, `do not ${spec.description}`)
      : new Option(`--${flag}`, spec.description);
  }
  const [parse, kind] = spec.type === 'integer' ? [parseInteger, 'integer'] : [parseNumber, 'number'];
  const flags = `--${flag} <${kind}>`;
  if (spec.default === undefined) return new RequiredOption(flags, spec.description).argParser(parse);
  return new Option(flags, spec.description)
    .argParser(parse)
    .default(spec.default, formatDefault(spec.default));
}

const formatDefault = (value: number | boolean): string =>
  typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
