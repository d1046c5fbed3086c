/** `build`: a network of the registry as an ONNX file. */
import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import type { GraphDefinition } from '../../graphs/definition.js';
import { getGraph, GRAPHS } from '../../graphs/registry.js';
import { keepIo } from '../graph/index.js';
import { defaultLowering, getLowering } from '../lowering/index.js';
import { writeModel } from '../onnx/write.js';
import { buildFlags, type BuildOptions } from './build-options.js';
import { describeBuild } from './build-summary.js';
import { loadWeights } from './build-weights.js';
import { requireFits } from './build-size.js';
import { exampleFlags, graphFlags, graphOptionsOf } from './graph-options.js';
import { colorsOf, print, type Cli, type Io } from './io.js';
import { requireInputsKept } from './keep-inputs.js';
import { withProgress, type Progress } from './progress.js';
import { requireOptions } from './required-option.js';
import { UsageError } from './usage-error.js';

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
