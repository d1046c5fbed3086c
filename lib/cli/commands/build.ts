/** The options of `build` that every network has. */
import { stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { type Command, Option } from 'commander';
import type { GraphDefinition } from '../../../graphs/definition.js';
import { getGraph, GRAPHS } from '../../../graphs/registry.js';
import { keepIo } from '../../graph/keep-io.js';
import type { Graph, Value } from '../../graph/types.js';
import { DEFAULT_OPSET, defaultLowering, getLowering, MAX_OPSET, MIN_OPSET } from '../../lowering/choose.js';
import { lowerGraph } from '../../lowering/lower-graph.js';
import { LOWERING_NAMES } from '../../lowering/types.js';
import { irVersionFor, parameterBytes, requireParametersFit } from '../../onnx/encode.js';
import { writeModel } from '../../onnx/write.js';
import { elementCount, FLOAT_DTYPES, type FloatDType, formatShape, type Shape } from '../../tensor.js';
import {
  exampleFlags,
  graphFlags,
  graphOptionsOf,
  parseInteger,
  parseShape,
  RequiredOption,
  requireOptions,
} from '../shared/options.js';
import { requireInputsKept } from '../shared/overwrite-guard.js';
import { type Progress, withProgress } from '../shared/progress.js';
import { formatBytes, formatTable, indent, plural, quote } from '../shared/table.js';
import { type Cli, colorsOf, type Io, print, UsageError } from '../shared/terminal.js';
import { loadWeights } from './build-weights.js';

export interface BuildOptions {
  readonly output: string;
  readonly weights?: string;
  readonly prefix?: string;
  readonly opset: number;
  readonly lowering?: string;
  readonly dtype: FloatDType;
  readonly keepIo?: boolean;
  readonly shape?: Shape;
  readonly seed: number;
  readonly externalData?: boolean;
}

/** A new list for each command: an option belongs to one. */
export const buildFlags = (): Option[] => [
  new RequiredOption('-o, --output <file>', 'the ONNX file to write'),
  new Option('--weights <file>', 'a state_dict, or a parity fixture, as .safetensors').conflicts('seed'),
  new Option(
    '--prefix <prefix>',
    'take only the keys of --weights under this prefix, such as backbone, and take it off them ' +
      '(module., model., _orig_mod. and state_dict. before every key are taken off by themselves)',
  ),
  new Option('--seed <n>', "seed of PyTorch's default initialisation, where no weights are given")
    .argParser(parseInteger)
    .default(0),
  new Option('--opset <n>', `opset of the model, ${MIN_OPSET} to ${MAX_OPSET}`)
    .argParser(parseInteger)
    .default(DEFAULT_OPSET),
  new Option(
    '--lowering <name>',
    `how GroupNormalization is written: ${LOWERING_NAMES.join(', ')} ` +
      '(default: op from opset 21 on, else reduce-mean)',
  ),
  new Option('--dtype <dtype>', 'dtype of input and weights').choices(FLOAT_DTYPES).default('float32'),
  new Option('--keep-io', 'keep inputs and outputs float32 and cast inside, whatever --dtype says'),
  new Option(
    '--shape <dims>',
    'shape of the input x: sizes, and names for those that are known only at run time, such as N,32,H,W ' +
      '(default: all but the channels are names)',
  ).argParser(parseShape),
  new Option('--external-data', 'write the weights to FILE.data beside the model (needed above 2 GiB)'),
];

// SECTION: Whether what is to be built can be, before its weights are made or read.

/**
 * @param memory Bytes that this machine has.
 * @throws ModelError `MODEL_TOO_LARGE` for more than a file holds, without external data; UsageError for more than
 *   the machine's memory.
 */
export function requireFits(graph: Graph, externalData: boolean | undefined, memory = totalmem()): void {
  const bytes = parameterBytes(graph);
  if (bytes > memory) {
    throw new UsageError(
      `graph '${graph.name}' has ${formatBytes(bytes)} of weights, and this machine ${formatBytes(memory)} of ` +
        'memory: choose smaller options',
    );
  }
  if (!externalData) requireParametersFit(graph);
}

/** What reached the disk. */
export interface Written {
  readonly bytes: number;
  /** Whether there is a file beside the model; where every weight is small there is none, even if asked for. */
  readonly external: boolean;
  /** Whether a file of that name is there that this build has not written: an older model's. */
  readonly stale?: boolean;
}

/** What was written, and what to do with it next. */
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

function describeFiles(
  { output, externalData }: BuildOptions,
  { bytes, external, stale }: Written,
): string[] {
  const beside = `${output}.data`;
  return [
    `Wrote ${external ? `${output} and ${beside}` : output} (${formatBytes(bytes)})`,
    ...(externalData && !external
      ? ['No file beside it: its weights are too small for a file of their own']
      : []),
    ...(stale ? [`${beside} is still there, from an older model: this one does not need it`] : []),
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

/** A size for every name: one sample, and of everything else enough to be halved a few times. */
function sizes({ inputs }: Graph): string {
  const names = inputs.flatMap(({ shape }) =>
    shape.flatMap((dim, axis) => (typeof dim === 'string' ? [[dim, axis]] : [])),
  );
  const bound = new Map(names.map(([name, axis]) => [name, axis === 0 ? 1 : 64]));
  return bound.size === 0 ? '' : ` --dim ${[...bound].map(([name, size]) => `${name}=${size}`).join(',')}`;
}

// SECTION: `build`: a network of the registry as an ONNX file.

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
  // No sub-command has matched: what is left is a mistyped graph, or options with no graph before them.
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
    .description(`${description}.\n\n${WRITES}`)
    .usage('[graph options] -o FILE [options]')
    .addHelpText('after', `${graphExamples(definition)}\n${EXIT_CODES}`)
    .action((parsed: BuildOptions & Record<string, unknown>) => {
      requireOptions(command);
      if (parsed.prefix !== undefined && parsed.weights === undefined) {
        throw new UsageError('--prefix is about the keys of --weights: give both');
      }
      return runBuild(definition, graphOptionsOf(definition, parsed), parsed, cli.io);
    });
  for (const flag of [...graphFlags(definition), ...buildFlags()]) command.addOption(flag);
}

async function runBuild(
  definition: GraphDefinition,
  graphOptions: Record<string, unknown>,
  options: BuildOptions,
  io: Io,
): Promise<void> {
  const { output, opset, dtype, shape, externalData } = options;
  const { name: lowering } = getLowering(options.lowering ?? defaultLowering(opset), opset);
  await requireInputsKept(
    [
      ['-o', output],
      ['-o', `${output}.data`],
    ],
    [['the file of --weights', options.weights]],
  );
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
    const stale = !external && (await isThere(`${output}.data`));
    return describeBuild(graph, options, lowering, { bytes, external, stale });
  });
  print(io.stdout, ...summary);
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const warn = (progress: Progress, { stderr }: Io, warning: string): void =>
  progress.say(`${colorsOf(stderr).yellow('warning:')} ${warning}`);

const DESCRIPTION =
  'Writes one of the networks below as an ONNX file whose weights have the names of its PyTorch state_dict. ' +
  "Every graph has options of its own: 'build GRAPH --help' lists them.";

const WRITES =
  "Writes it as an ONNX file. Weights come from a state_dict, whose keys must be PyTorch's; without one, the " +
  "parameters get PyTorch's default initialisation.";

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

const EXIT_CODES = `
Exit codes: 0 written; 2 bad usage or bad input, and an older file is left as it was.`;
