/** The values of options, from text. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { GraphDefinition, OptionSpec } from '../../../graphs/definition.js';
import { getSessionLowering, MAX_OPSET } from '../../lowering/choose.js';
import { SESSION_LOWERING_NAMES, type SessionLoweringName } from '../../lowering/types.js';
import {
  type Provider,
  type ProviderFallback,
  PROVIDERS,
  requireProviders,
} from '../../runtime/core/contract.js';
import { chooseBackend } from '../../runtime/node.js';
import type { Dim, Shape } from '../../tensor.js';
import { UsageError } from './terminal.js';

/** An integer of any sign. */
export function parseInteger(text: string): number {
  const value = Number(text);
  if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It must be an integer, such as 21.');
}

/** An integer of at least 1. */
export function parseCount(text: string): number {
  const value = parseInteger(text);
  if (value >= 1) return value;
  throw new InvalidArgumentError('It must be at least 1.');
}

/** A finite number. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It must be a number, such as 1e-5.');
}

/** A number of at least 0. */
export function parseTolerance(text: string): number {
  const value = parseNumber(text);
  if (value >= 0) return value;
  throw new InvalidArgumentError('It must be at least 0.');
}

/** `13,17,21`: integers without repeats. */
export const parseIntegers = (text: string): number[] => [
  ...new Set(text.split(',').map((part) => parseInteger(part.trim()))),
];

/** `op,layer-norm`: names without repeats. */
export const parseNames = (text: string): string[] => [
  ...new Set(text.split(',').map((part) => part.trim())),
];

/** `N,32,H,W`: sizes, and names for sizes that are known only at run time. */
export function parseShape(text: string): Shape {
  return text.split(',').map((part) => parseDim(part.trim()));
}

function parseDim(part: string): Dim {
  if (/^[A-Za-z_]\w*$/.test(part)) return part;
  const size = Number(part);
  if (/^\d+$/.test(part) && Number.isSafeInteger(size)) return size;
  throw new InvalidArgumentError(
    `'${part}' is no dimension: write a size such as 32, or a name such as N for one that is known only at run time.`,
  );
}

/** Collects `NAME=VALUE`; an option that is given again adds to what is there. */
export function collectPair(
  text: string,
  previous: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError('It must be NAME=VALUE.');
  const name = text.slice(0, at);
  if (previous.has(name)) throw new InvalidArgumentError(`'${name}' is given twice.`);
  return new Map([...previous, [name, text.slice(at + 1)]]);
}

/** `N=1 H=64` as it should have been written. */
export const withCommas = (text: string): string =>
  text
    .trim()
    .split(/[\s,]+/)
    .join(',');

/** Collects `N=1,H=64`: sizes by name, from one option or several. */
export function collectSizes(
  text: string,
  previous: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const sizes = new Map(previous);
  for (const part of text.split(',')) {
    const [, name = '', size = ''] = /^\s*([^=]*?)\s*=\s*(.*?)\s*$/.exec(part) ?? [];
    if (size.includes('=')) {
      throw new InvalidArgumentError(`Write commas between sizes: --dim ${withCommas(text)}.`);
    }
    if (!name || !size) throw new InvalidArgumentError(`'${part}' is no NAME=SIZE, such as N=1.`);
    if (!/^\d+$/.test(size) || !Number.isSafeInteger(Number(size))) {
      throw new InvalidArgumentError(
        `The size of '${name}' is '${size}' but must be an integer of at least 0.`,
      );
    }
    if (sizes.has(name)) throw new InvalidArgumentError(`'${name}' is given twice.`);
    sizes.set(name, Number(size));
  }
  return sizes;
}

/**
 * An option that must be given. Commander's own mandatory options are looked at before unknown ones, so that a
 * mistyped option would be reported as a missing one.
 */
export class RequiredOption extends Option {
  constructor(flags: string, description: string) {
    super(flags, `${description} (required)`);
  }
}

/** @throws UsageError that lists every required option that was not given. */
export function requireOptions(command: Command): void {
  const missing = command.options.filter(
    (option) =>
      option instanceof RequiredOption && command.getOptionValue(option.attributeName()) === undefined,
  );
  if (missing.length === 0) return;
  const flags = missing.map(({ flags }) => flags).join(', ');
  throw new UsageError(`required: ${flags}; '${commandPath(command)} --help' explains them`);
}

const commandPath = (command: Command): string =>
  command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();

// SECTION: A network's options as flags: `numGroups` is `--num-groups`.

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

// SECTION: `--group-norm`, which `run` and `parity` share.

/** Whatever the opset of the model: a lowering that it does not have is refused when the model is loaded. */
export const groupNormOption = (): Option =>
  new Option(
    '--group-norm <name>',
    `how GroupNormalization nodes run: ${SESSION_LOWERING_NAMES.join(', ')} (default: the native kernel where it is there, ` +
      "else a rewrite that is right for any mean; op is ONNX Runtime's own, which is not; contrib-group-norm is for cuda)",
  ).argParser((name: string): SessionLoweringName => getSessionLowering(name, MAX_OPSET).name);

// SECTION: `--provider` of `parity`, which may name several.

export const providersOption = (): Option =>
  new Option(
    '--provider <names>',
    `execution provider: ${PROVIDERS.join(', ')}; several of them (cpu,wasm), or all that this machine has`,
  ).default('cpu');

export interface AvailableProviders {
  readonly available: readonly Provider[];
  /** Those that cannot be used here, and why; `doctor` says what to do. */
  readonly missing: readonly ProviderFallback[];
  /** Whether one of these was named. */
  readonly asked: boolean;
}

/**
 * The providers of `--provider`: of the names, or of `all` there are, those that can be used here.
 * @throws SessionError `UNKNOWN_PROVIDER`.
 */
export async function availableProviders(text: string): Promise<AvailableProviders> {
  const names = parseNames(text);
  const all = names.includes('all');
  const available: Provider[] = [];
  const missing: ProviderFallback[] = [];
  for (const provider of all ? PROVIDERS : requireProviders(names)) {
    const { backend, problems } = await chooseBackend(provider, false);
    if (backend) available.push(provider);
    else missing.push({ provider, reason: problems.map(({ reason }) => reason).join('; ') });
  }
  return { available, missing, asked: !all && missing.length > 0 };
}
