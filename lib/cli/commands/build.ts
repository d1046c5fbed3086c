/** `build`: writes a network of the registry as an ONNX file. */
import { stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { type Command, Option } from 'commander';
import type { GraphDefinition, InputType } from '../../../graphs/definition.js';
import type { OptionSpec } from '../../../graphs/options.js';
import { getGraph, GRAPHS } from '../../../graphs/registry.js';
import { keepIo } from '../../graph/keep-io.js';
import type { Graph, Value } from '../../graph/types.js';
import type { Limits } from '../../limits.js';
import { DEFAULT_OPSET, defaultLowering, getLowering, MAX_OPSET, MIN_OPSET } from '../../lowering/choose.js';
import { lowerGraph } from '../../lowering/lower.js';
import { LOWERING_NAMES } from '../../lowering/types.js';
import { irVersionFor, parameterBytes, requireParametersFit } from '../../onnx/encode.js';
import { writeModel } from '../../onnx/write.js';
import { formatBytes, plural } from '../../quantities.js';
import { elementCount, FLOAT_DTYPES, type FloatDType, formatShape } from '../../tensor.js';
import {
  limitOption,
  parseInteger,
  parseNumber,
  collectShape,
  parseBoolean,
  parseList,
  pointToHelp,
  RequiredOption,
  requireOptions,
} from '../shared/options.js';
import { refuseOverwritingInputs } from '../shared/output-files.js';
import { type Progress, withProgress } from '../shared/progress.js';
import { formatTable, indent, quote } from '../shared/table.js';
import { type Cli, colorsOf, type Io, print, UsageError } from '../shared/terminal.js';
import { loadWeights } from './build-weights.js';

interface BuildOptions {
  readonly output: string;
  readonly weights?: string;
  readonly prefix?: string;
  readonly limit?: Partial<Limits>;
  readonly seed: number;
  readonly opset: number;
  readonly lowering?: string;
  readonly dtype: FloatDType;
  readonly keepIo?: boolean;
  readonly shape?: InputType['shape'];
  readonly externalData?: boolean;
}

export function addBuild(program: Command, cli: Cli): void {
  const build = program
    .command('build')
    .summary('write a network as an ONNX file')
    .description(DESCRIPTION)
    .usage('GRAPH [graph options] -o FILE [options]')
    .helpCommand(false)
    .commandsGroup('Graphs:')
    .addHelpText('after', `${EXAMPLES}\n${EXIT_CODES}`);
  for (const definition of GRAPHS.values()) addGraph(build, definition, cli);
  // This action runs if the first argument is not a graph: a mistyped name, or options before the name.
  build.allowUnknownOption().allowExcessArguments();
  build.action((_, { args: [name = ''] }: Command) => {
    if (name && !name.startsWith('-')) getGraph(name);
    throw new UsageError(`name the graph first: build GRAPH …; known: ${[...GRAPHS.keys()].join(', ')}`);
  });
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
      requireOptions(command);
      if (parsed.prefix !== undefined && parsed.weights === undefined) {
        throw new UsageError('--prefix needs --weights');
      }
      return runBuild(definition, graphOptionsOf(definition, parsed), parsed, cli.io);
    });
  for (const flag of [...graphFlags(definition), ...buildFlags()]) command.addOption(flag);
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
  new Option('--opset <n>', `opset of the model, ${MIN_OPSET} to ${MAX_OPSET}`)
    .argParser(parseInteger)
    .default(DEFAULT_OPSET),
  new Option(
    '--lowering <name>',
    `how to write GroupNormalization: ${LOWERING_NAMES.join(', ')} ` +
      '(default: op from opset 21, otherwise reduce-mean)',
  ),
  new Option('--dtype <dtype>', 'dtype of the input and the weights')
    .choices(FLOAT_DTYPES)
    .default('float32'),
  new Option('--keep-io', 'keep float32 inputs and outputs, and cast to --dtype inside the model'),
  new Option(
    '--shape <dims>',
    'shape of the input: sizes, or names for sizes known only at run time, such as N,32,H,W ' +
      '(default: names for all dimensions except the channels). Of several inputs the first, or any by its name, once ' +
      'for each: --shape sample=1,4,64,64',
  ).argParser(collectShape),
  new Option('--external-data', 'write the weights to FILE.data beside the model (needed above 2 GiB)'),
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
  const { output, opset, dtype, shape, externalData } = options;
  const { name: lowering } = getLowering(options.lowering ?? defaultLowering(opset), opset);
  const outputs = [output, `${output}.data`].map((path) => ['-o', path] as const);
  await refuseOverwritingInputs(outputs, [['the file of --weights', options.weights]]);
  const summary = await withProgress(io.stderr, async (progress) => {
    progress.step(`building ${definition.name}`);
    const built = definition.build(graphOptions, { dtype, shape });
    const graph = options.keepIo ? keepIo(built, 'float32') : built;
    requireFits(graph, externalData);
    progress.step('loading weights');
    const network = { definition, graph, graphOptions };
    const weights = await loadWeights(network, options, (warning) => warn(progress, io, warning));
    progress.step(`writing ${output}`);
    const bytes = await writeModel(output, graph, weights, { opset, lowering, externalData });
    const external = bytes > (await stat(output)).size;
    const stale = !external && (await exists(`${output}.data`));
    return describeBuild(graph, options, lowering, { bytes, external, stale });
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

const exists = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined)) !== undefined;

/** The files that a build has written. */
export interface Written {
  readonly bytes: number;
  /** Whether there is a data file. Small weights stay in the model, even with `--external-data`. */
  readonly external: boolean;
  /** Whether the folder has a data file of an older model, under the name that this model would use. */
  readonly stale?: boolean;
}

/** Returns what was written and the command that runs it, as lines. */
export function describeBuild(
  graph: Graph,
  options: BuildOptions,
  lowering: string,
  written: Written,
): string[] {
  const { output, opset } = options;
  const rows = [
    ['graph', graph.name],
    ['opset', `${opset}, IR version ${irVersionFor(opset)}`],
    ['lowering', lowering],
    ['nodes', String(lowerGraph(graph, lowering, opset).nodes.length)],
    ['parameters', describeParameters(graph)],
    ['weights', describeWeights(graph, options)],
    ...graph.inputs.map((value) => ['input', describeValue(value)]),
    ...graph.outputs.map((value) => ['output', describeValue(value)]),
  ];
  return [
    ...describeFiles(options, written),
    '',
    indent(formatTable(rows)),
    '',
    'Next, run it on random numbers:',
    `  onnx-groupnorm run ${quote(output)}${graph.inputs.map(randomInput).join('')}${sizes(graph)}`,
  ];
}

function describeFiles({ output, externalData }: BuildOptions, written: Written): string[] {
  const { bytes, external, stale } = written;
  const data = `${output}.data`;
  return [
    `Wrote ${external ? `${output} and ${data}` : output} (${formatBytes(bytes)})`,
    ...(externalData && !external ? ['No data file: the weights are small and stay in the model'] : []),
    ...(stale ? [`${data} belongs to an older model; this model does not use it`] : []),
  ];
}

function describeParameters({ parameters }: Graph): string {
  const elements = parameters.map(({ shape }) => elementCount(shape as number[])).reduce((a, b) => a + b, 0);
  return `${plural(parameters.length, 'tensor')}, ${plural(elements, 'element')}`;
}

function describeWeights({ parameters }: Graph, { weights, seed }: BuildOptions): string {
  if (parameters.length === 0) return 'none';
  return weights ?? `PyTorch's default initialisation, seed ${seed}`;
}

const describeValue = ({ name, dtype, shape }: Value): string => `${name}  ${dtype} ${formatShape(shape)}`;

const randomInput = ({ name }: Value): string => ` --input ${quote(`${name}=random`)}`;

/** Returns `--dim` with a size for each name: 1 for the batch, and 64 for the others, which networks can halve. */
function sizes({ inputs }: Graph): string {
  const names = inputs.flatMap(({ shape }) =>
    shape.flatMap((dim, axis) => (typeof dim === 'string' ? [[dim, axis]] : [])),
  );
  const bound = new Map(names.map(([name, axis]) => [name, axis === 0 ? 1 : 64]));
  return bound.size === 0 ? '' : ` --dim ${[...bound].map(([name, size]) => `${name}=${size}`).join(',')}`;
}

const DESCRIPTION =
  'Writes one of the networks below as an ONNX file. Its weights keep the names of the PyTorch state_dict. ' +
  "Each graph has its own options: 'build GRAPH --help' lists them.";

const WEIGHTS =
  "Writes the network as an ONNX file. --weights reads a state_dict, whose keys must be PyTorch's; without it the " +
  "weights get PyTorch's default initialisation.";

const EXAMPLES = `
Examples:
  $ onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 --eps 1e-6 --no-affine \\
      --shape N,32,64,64 --opset 17 --lowering layer-norm -o gn-17.onnx
  $ onnx-groupnorm build group-norm --help`;

function graphExamples(definition: GraphDefinition): string {
  const command = ['$ onnx-groupnorm build', definition.name, ...exampleFlags(definition)].join(' ');
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
