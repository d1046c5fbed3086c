/** `build`: a network of the registry as an ONNX file. */
import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import type { GraphDefinition } from '../../graphs/definition.js';
import { getGraph, GRAPHS } from '../../graphs/registry.js';
import { keepIo, type Graph, type Weights } from '../graph/index.js';
import { defaultLowering, getLowering } from '../lowering/index.js';
import { writeModel } from '../onnx/write.js';
import { initializeWeights } from '../weights/initialize.js';
import { matchStateDict } from '../weights/state-dict.js';
import { buildFlags, type BuildOptions } from './build-options.js';
import { describeBuild } from './build-summary.js';
import { exampleFlags, graphFlags, graphOptionsOf } from './graph-options.js';
import { print, type Cli, type Io } from './io.js';
import { withProgress } from './progress.js';
import { requireOptions } from './required-option.js';
import { readStateDict } from './state-dict-file.js';
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
  const lowering = options.lowering ?? defaultLowering(opset);
  getLowering(lowering, opset);
  const summary = await withProgress(io.stderr, async (progress) => {
    progress.step(`building ${definition.name}`);
    const built = definition.build(graphOptions, { dtype, shape });
    const graph = options.keepIo ? keepIo(built, 'float32') : built;
    progress.step('loading weights');
    const weights = await loadWeights(graph, options);
    progress.step(`writing ${output}`);
    const bytes = await writeModel(output, graph, weights, { opset, lowering, externalData });
    const { size } = await stat(output);
    return describeBuild(graph, options, lowering, { bytes, external: bytes > size });
  });
  print(io.stdout, ...summary);
}

const loadWeights = async (graph: Graph, { weights, seed }: BuildOptions): Promise<Weights> =>
  weights === undefined
    ? initializeWeights(graph, seed)
    : matchStateDict(graph, await readStateDict(weights));

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
