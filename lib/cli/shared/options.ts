/** Parsers for the values of options, required options, the options that `run` and `parity` share, and which providers work. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { OptionError } from '../../errors.js';
import { DEFAULT_LIMITS, type Limits, requireLimits } from '../../limits.js';
import { getSessionLowering, MAX_OPSET } from '../../lowering/choose.js';
import { SESSION_LOWERING_NAMES, type SessionLoweringName } from '../../lowering/types.js';
import { LAYOUTS, type Provider, type ProviderFallback, PROVIDERS } from '../../runtime/core/contract.js';
import { requireProviders } from '../../runtime/core/providers.js';
import { chooseBackend } from '../../runtime/node.js';
import type { Dim, Shape } from '../../tensor.js';
import { UsageError } from './terminal.js';

/** Parses an integer of any sign. */
export function parseInteger(text: string): number {
  const value = Number(text);
  if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It must be an integer, such as 21.');
}

/** Parses an integer of at least 1. */
export function parseCount(text: string): number {
  const value = parseInteger(text);
  if (value >= 1) return value;
  throw new InvalidArgumentError('It must be at least 1.');
}

/** Parses a port of TCP: 0 for a free one. */
export function parsePort(text: string): number {
  const value = parseInteger(text);
  if (value >= 0 && value <= 65535) return value;
  throw new InvalidArgumentError('It must be from 0 to 65535.');
}

/** Parses a finite number. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It must be a number, such as 1e-5.');
}

/** Parses a number of at least 0. */
export function parseTolerance(text: string): number {
  const value = parseNumber(text);
  if (value >= 0) return value;
  throw new InvalidArgumentError('It must be at least 0.');
}

/** Parses `13,17,21` and removes repeats. */
export const parseIntegers = (text: string): number[] => [
  ...new Set(text.split(',').map((part) => parseInteger(part.trim()))),
];

/** Parses a list with the parser of its elements. */
export const parseList =
  <Element>(parse: (text: string) => Element) =>
  (text: string): Element[] =>
    text.split(',').map((part) => parse(part.trim()));

/** Parses true or false. */
export function parseBoolean(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new InvalidArgumentError('It must be true or false.');
}

/** Parses `op,layer-norm` and removes repeats. */
export const parseNames = (text: string): string[] => [
  ...new Set(text.split(',').map((part) => part.trim())),
];

/** Parses `N,32,H,W`: sizes, and names for sizes that are known only at run time. */
export const parseShape = (text: string): Shape => text.split(',').map((part) => parseDim(part.trim()));

/**
 * Parses one `--shape N,32,H,W`, for the first input, or adds one `--shape sample=1,4,64,64` to those before it.
 * @throws UsageError if shapes with and without a name are given.
 */
export function collectShape(
  text: string,
  previous?: Shape | Readonly<Record<string, Shape>>,
): Shape | Readonly<Record<string, Shape>> {
  const [, name, dims = text] = /^\s*(\w+)\s*=(.*)$/.exec(text) ?? [];
  const shape = parseShape(dims);
  const isNamed = typeof previous === 'object' && !Array.isArray(previous);
  if (name === undefined && !isNamed) return shape;
  if (name === undefined || Array.isArray(previous)) {
    throw new UsageError(
      'give --shape once, for the first input, or as NAME=DIMS for each input, such as sample=1,4,64,64',
    );
  }
  return { ...previous, [name]: shape };
}

function parseDim(part: string): Dim {
  if (/^[A-Za-z_]\w*$/.test(part)) return part;
  const size = Number(part);
  if (/^\d+$/.test(part) && Number.isSafeInteger(size)) return size;
  throw new InvalidArgumentError(
    `'${part}' is not a dimension: write a size, such as 32, or a name for a size known only at run time, such as N.`,
  );
}

/**
 * Adds one `--input NAME=FILE` to those before it. Only the model's inputs say which `=` ends the name.
 * @throws UsageError
 */
export function collectInput(text: string, previous: readonly string[] = []): string[] {
  if (/^[^=]+=./s.test(text)) return [...previous, text];
  throw new UsageError(
    `--input takes NAME=FILE.npy or NAME=random, such as x=x.npy for an input x; got '${text}'`,
  );
}

/**
 * Parses one `--dim N=1,H=64` and adds its sizes to those before it.
 * @throws UsageError
 */
export function collectSizes(
  text: string,
  previous: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const sizes = new Map(previous);
  for (const part of text.split(',')) {
    if (/=\s*\d+\s+\S/.test(part)) throw missingCommas(text);
    // A name may contain `=`, a size may not.
    const [, name = '', size = ''] = /^\s*(.*?)\s*=\s*([^=]*?)\s*$/.exec(part) ?? [];
    if (!name || !size) {
      throw new UsageError(`--dim takes NAME=SIZE pairs, such as N=1,H=64; got '${part}'`);
    }
    if (!/^\d+$/.test(size) || !Number.isSafeInteger(Number(size))) {
      throw new UsageError(`--dim ${name}: the size must be an integer of at least 0; got '${size}'`);
    }
    if (sizes.has(name)) throw new UsageError(`--dim gives '${name}' twice; give each size once`);
    sizes.set(name, Number(size));
  }
  return sizes;
}

/**
 * Parses one `--limit modelRank=100` and adds its limit to those before it.
 * @throws UsageError
 */
function collectLimit(text: string, previous: Partial<Limits> = {}): Partial<Limits> {
  const [, name = '', number = ''] = /^\s*(\w+)\s*=\s*(\S+)\s*$/.exec(text) ?? [];
  if (!name)
    throw new UsageError(
      `--limit takes NAME=NUMBER, such as modelRank=100 or modelRank=Infinity; got '${text}'`,
    );
  const limits = { ...previous, [name]: Number(number) };
  try {
    requireLimits('--limit', limits);
    return limits;
  } catch (cause) {
    if (cause instanceof OptionError) throw new UsageError(cause.message, { cause });
    throw cause;
  }
}

/** `--limit`, for commands that read files which others may have made. */
export const limitOption = (): Option =>
  new Option(
    '--limit <name=number>',
    `a higher limit for a file that you trust; the message that refuses a file names its limit, one of ` +
      `${Object.keys(DEFAULT_LIMITS).join(', ')}. Infinity takes any size. May be given several times`,
  ).argParser(collectLimit);

/** Returns the error for `--dim N=1 H=64`, with the option as it must be written. */
export const missingCommas = (text: string): UsageError =>
  new UsageError(
    `write commas between sizes: --dim ${text
      .split(/[\s,]+/)
      .filter(Boolean)
      .join(',')}`,
  );

/**
 * An option that must be given. Commander's own mandatory options are checked before unknown options, so that it would
 * report a mistyped option as a missing one.
 */
export class RequiredOption extends Option {
  constructor(flags: string, description: string) {
    super(flags, `${description} (required)`);
  }
}

/**
 * @param explained The command whose `--help` explains the options.
 * @throws UsageError that lists every {@link RequiredOption} that is missing.
 */
export function requireOptions(command: Command, explained = command): void {
  const missing = command.options.filter(
    (option) =>
      option instanceof RequiredOption && command.getOptionValue(option.attributeName()) === undefined,
  );
  if (missing.length === 0) return;
  const flags = missing.map(({ flags }) => flags.replace(/^-\w, /, '')).join(', ');
  throw new UsageError(`missing ${flags}; ${helpHint(explained)}`);
}

/** Makes the errors of a command end with a line that points to its help, or to that of the command which explains it. */
export const pointToHelp = (command: Command, explained = command): Command =>
  command.showHelpAfterError(helpHint(explained));

const helpHint = (command: Command): string => `'${commandPath(command)} --help' explains the command`;

/** Returns a command as a user types it. npx finds it in a project, and where it is installed for all projects. */
const commandPath = (command: Command): string =>
  `${command.parent ? commandPath(command.parent) : 'npx'} ${command.name()}`;

/** `--provider` of a command that runs a model. */
export const providerOption = (): Option =>
  new Option(
    '--provider <names>',
    `execution provider: ${PROVIDERS.join(', ')}; or several in order of preference (cuda,cpu). ` +
      'cpu is native if the kernel is installed, unless --group-norm is given',
  ).default('cpu');

/** `--group-norm`. Takes every lowering; a model whose opset lacks the lowering is refused when it is loaded. */
export const groupNormOption = (): Option =>
  new Option(
    '--group-norm <name>',
    `how to run GroupNormalization: ${SESSION_LOWERING_NAMES.join(', ')}. Without this option: the native kernel if it ` +
      "is installed, otherwise reduce-mean, which is exact for any mean. op: ONNX Runtime's own slow definition, which " +
      'loses digits if the mean is large. contrib-group-norm: only with --provider cuda',
  ).argParser((name: string): SessionLoweringName => getSessionLowering(name, MAX_OPSET).name);

/** `--layout`. */
export const layoutOption = (): Option =>
  new Option(
    '--layout <name>',
    "layout of tensors between convolutions and GroupNormalization (native kernel only): blocked, ONNX Runtime's layout for " +
      'convolutions on the CPU, which loads more slowly and runs faster; plain; or auto, which is blocked where possible',
  )
    .choices([...LAYOUTS])
    .default('auto');

interface AvailableProviders {
  readonly available: readonly Provider[];
  /** Providers that do not work here, with the reason. `doctor` says what to do. */
  readonly missing: readonly ProviderFallback[];
  /** Whether the option names its providers; `false` for `all`. */
  readonly isNamed: boolean;
}

/**
 * Returns which providers of the option `--provider` work: names, or `all`.
 * @throws SessionError `UNKNOWN_PROVIDER`.
 */
export async function availableProviders(text: string): Promise<AvailableProviders> {
  const names = parseNames(text);
  const isNamed = !names.includes('all');
  const available: Provider[] = [];
  const missing: ProviderFallback[] = [];
  for (const provider of isNamed ? requireProviders(names) : PROVIDERS) {
    const { backend, problems } = await chooseBackend(provider, false);
    if (backend) available.push(provider);
    else missing.push({ provider, reason: problems.map(({ reason }) => reason).join('; ') });
  }
  return { available, missing, isNamed };
}
