/** `build`: writes a network of the registry as an ONNX file. */
import { totalmem } from 'node:os';
import { type Command, Option } from 'commander';
import type { GraphDefinition } from '../../../../graphs/shared/definition.js';
import type { OptionSpec } from '../../../../graphs/shared/options.js';
import { GRAPHS } from '../../../../graphs/registry.js';
import type { Graph } from '../../../graph/types.js';
import type { Limits } from '../../../limits.js';
import { parameterBytes, requireParametersFit } from '../../../onnx/encode.js';
import { formatBytes } from '../../../quantities.js';
import {
  limitOption,
  parseBoolean,
  parseInteger,
  parseList,
  parseNumber,
  pointToHelp,
  RequiredOption,
  requireOptions,
} from '../../shared/options.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import { type Progress, withProgress } from '../../shared/progress.js';
import { type Cli, colorsOf, type Io, print, UsageError } from '../../shared/terminal.js';
import { addFrom, FROM_EXAMPLES, notWithGraph } from './from.js';
import {
  describeBuild,
  loweringOf,
  modelFlags,
  type ModelOptions,
  withIo,
  writeBuild,
} from './output.js';
import { loadWeights } from './weights.js';

interface BuildOptions extends ModelOptions {
  readonly weights?: string;
  readonly prefix?: string;
  readonly limit?: Partial<Limits>;
  readonly seed: number;
}

export function addBuild(program: Command, cli: Cli): void {
  const build = program
    .command('build')
    .summary('write a network as an ONNX file')
    .description(DESCRIPTION)
    .usage(
      'GRAPH [graph options] -o FILE [options]\n       onnx-groupnorm build --from FOLDER -o FILE [options]',
    )
    .helpCommand(false)
    .commandsGroup('Graphs:');
  for (const definition of GRAPHS.values()) addGraph(build, definition, cli);
  addFrom(build, cli);
  build.addHelpText('after', `${EXAMPLES}${FROM_EXAMPLES}\n${EXIT_CODES}`);
}

function addGraph(build: Command, definition: GraphDefinition, cli: Cli): void {
  const { name, description } = definition;
  const command = build
    .command(name)
    .summary(description)
    .description(`${description}.\n\n${WEIGHTS}`)
    .usage('[graph options] -o FILE [options]')
    .addHelpText('after', `${graphExamples(definition)}\n${EXIT_CODES}`)
    .action((parsed: BuildOptions & Record<string, unknown>) => {
      if (parsed.from !== undefined) throw new UsageError(notWithGraph(name));
      requireOptions(command);
      if (parsed.prefix !== undefined && parsed.weights === undefined) {
        throw new UsageError('--prefix needs --weights');
      }
      return runBuild(definition, graphOptionsOf(definition, parsed), parsed, cli.io);
    });
  for (const flag of [...graphFlags(definition), ...buildFlags()]) command.addOption(flag);
  command.addOption(new Option('--from <folder>').hideHelp());
  pointToHelp(command);
}

/** Returns the options that all networks share, new objects for each command. */
const buildFlags = (): Option[] => [
  new RequiredOption('-o, --output <file>', 'ONNX file to write'),
  new Option('--weights <file>', 'state_dict or parity fixture, as .safetensors').conflicts('seed'),
  new Option(
    '--prefix <prefix>',
    'use only the keys of --weights that start with this prefix, such as backbone, and remove the prefix from their ' +
      'names. Without --prefix, build removes these prefixes if all keys have them: module., model., _orig_mod., ' +
      'state_dict.',
  ),
  limitOption(),
  new Option('--seed <n>', "seed of PyTorch's default initialisation, which is used without --weights")
    .argParser(parseInteger)
    .default(0),
  ...modelFlags(),
];

/** Returns the options of one network, `--num-groups` for `numGroups`. The help lists them under their own heading. */
export const graphFlags = (definition: GraphDefinition): Option[] =>
  Object.entries(definition.options).map(([name, spec]) => graphFlag(name, spec).helpGroup('Graph options:'));

function graphFlag(name: string, spec: OptionSpec): Option {
  const flag = kebabCase(name);
  if (spec.type === 'boolean') {
    return spec.default === true
      ? new Option(`--no-${flag}`, `do not ${spec.description}`)
      : new Option(`--${flag}`, spec.description);
  }
  const { kind, parse } = VALUE_PARSERS[spec.type];
  const flags = `--${flag} <${kind}>`;
  const choices = spec.choices ? `: ${spec.choices.join(', ')}` : '';
  const description = spec.description + choices;
  if (spec.default === undefined) return new RequiredOption(flags, description).argParser(parse);
  const option = new Option(flags, description).argParser(parse);
  // `null` means that there is no value; the help says so in the description.
  return spec.default === null ? option : option.default(spec.default, formatDefault(spec.default));
}

/** How the value of each type of option is written: its name in the help, and its parser. */
const VALUE_PARSERS: Readonly<
  Record<Exclude<OptionSpec['type'], 'boolean'>, { kind: string; parse: (text: string) => unknown }>
> = {
  integer: { kind: 'integer', parse: parseInteger },
  number: { kind: 'number', parse: parseNumber },
  string: { kind: 'name', parse: (text) => text },
  integers: { kind: 'integers', parse: parseList(parseInteger) },
  booleans: { kind: 'booleans', parse: parseList(parseBoolean) },
  strings: { kind: 'names', parse: parseList((text) => text) },
};

const kebabCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const formatDefault = (value: NonNullable<OptionSpec['default']>): string =>
  typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);

/** Returns the options of the network out of all parsed options, commander's defaults included. */
export function graphOptionsOf(
  definition: GraphDefinition,
  parsed: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const names = Object.keys(definition.options).filter((name) => parsed[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, parsed[name]]));
}

async function runBuild(
  definition: GraphDefinition,
  graphOptions: Record<string, unknown>,
  options: BuildOptions,
  io: Io,
): Promise<void> {
  const { output, dtype, shape, externalData } = options;
  loweringOf(options); // Refuses a lowering that the opset lacks, before any work.
  const outputs = [output, `${output}.data`].map((path) => ['-o', path] as const);
  await refuseOverwritingInputs(outputs, [['the file of --weights', options.weights]]);
  const summary = await withProgress(io.stderr, async (progress) => {
    progress.step(`building ${definition.name}`);
    const graph = withIo(definition.build(graphOptions, { dtype, shape }), options);
    requireFits(graph, externalData);
    progress.step('loading weights');
    const network = { definition, graph, graphOptions };
    const weights = await loadWeights(network, options, (warning) => warn(progress, io, warning));
    progress.step(`writing ${output}`);
    const written = await writeBuild(graph, weights, options);
    const origin = options.weights ?? `PyTorch's default initialisation, seed ${options.seed}`;
    return describeBuild(graph, options, origin, written);
  });
  print(io.stdout, ...summary);
}

/**
 * Checks that the weights fit in memory and in the file, before they are made or read.
 * @param memory Bytes of memory of this machine.
 * @throws UsageError if the weights need more than the memory, ModelError `MODEL_TOO_LARGE` if they need more than a
 *   file can hold and there is no external data.
 */
export function requireFits(graph: Graph, externalData: boolean | undefined, memory = totalmem()): void {
  const bytes = parameterBytes(graph);
  if (bytes > memory) {
    throw new UsageError(
      `graph '${graph.name}' has ${formatBytes(bytes)} of weights, but this machine has ${formatBytes(memory)} of ` +
        'memory; choose smaller options',
    );
  }
  if (!externalData) requireParametersFit(graph);
}

const warn = (progress: Progress, { stderr }: Io, warning: string): void =>
  progress.say(`${colorsOf(stderr).yellow('warning:')} ${warning}`);

const DESCRIPTION =
  'Writes one of the networks below as an ONNX file. Its weights keep the names of the PyTorch state_dict. ' +
  "Each graph has its own options: 'build GRAPH --help' lists them.";

const WEIGHTS =
  "Writes the network as an ONNX file. --weights reads a state_dict, whose keys must be PyTorch's; without it the " +
  "weights get PyTorch's default initialisation.";

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 --eps 1e-6 --no-affine \\
      --shape N,32,64,64 --opset 17 --lowering layer-norm -o gn-17.onnx
  $ npx onnx-groupnorm build group-norm --help`;

/** The networks whose weights do not fit into one file. */
const LARGE_GRAPHS = ['unet-2d-condition'];

export function graphExamples(definition: GraphDefinition): string {
  const { name } = definition;
  const flags = [...exampleFlags(definition), ...(LARGE_GRAPHS.includes(name) ? ['--external-data'] : [])];
  const command = ['$ npx onnx-groupnorm build', name, ...flags].join(' ');
  return `
Examples:
  ${command} -o model.onnx
  ${command} --opset 17 -o model-17.onnx`;
}

/** Returns values for the required options, so that an example can be pasted. 8 groups divide 32 channels. */
export const exampleFlags = (definition: GraphDefinition): string[] =>
  Object.entries(definition.options)
    .filter(([, spec]) => spec.default === undefined && spec.type !== 'boolean')
    .map(([name, spec]) => `--${kebabCase(name)} ${exampleValue(name, spec)}`);

function exampleValue(name: string, { type, choices }: OptionSpec): string {
  if (choices) return choices[0]!;
  if (type === 'booleans') return 'true';
  return name === 'numGroups' ? '8' : '32';
}

const EXIT_CODES = `
Exit codes: 0 written; 2 bad usage or bad input, and an older file stays as it was.`;
