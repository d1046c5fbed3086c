/** `build --from`: writes the network in a folder of diffusers or timm as an ONNX file. */
import { type Command, Option } from 'commander';
import { knownClasses } from '../../../../graphs/pretrained.js';
import { getGraph, GRAPHS } from '../../../../graphs/registry.js';
import { openPretrained, type PretrainedModel } from '../../../checkpoint/open.js';
import type { Limits } from '../../../limits.js';
import { parametersFit } from '../../../onnx/encode.js';
import { nearestName } from '../../../nearest.js';
import { formatBytes, listNames } from '../../../quantities.js';
import { limitOption, pointToHelp, RequiredOption, requireOptions } from '../../shared/options.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import { withProgress } from '../../shared/progress.js';
import { type Cli, type Io, print, UsageError } from '../../shared/terminal.js';
import {
  describeBuild,
  loweringOf,
  modelFlags,
  type ModelOptions,
  withIo,
  writeBuild,
} from './output.js';

interface FromOptions extends ModelOptions {
  readonly from?: string;
  readonly part?: string;
  readonly limit?: Partial<Limits>;
}

const flags = (): Option[] => [
  new Option(
    '--from <folder>',
    'folder on this machine with config.json and .safetensors files, as diffusers and timm save them',
  ),
  new RequiredOption('-o, --output <file>', 'ONNX file to write'),
  new Option('--part <name>', 'write a part of the network only: encoder or decoder of an AutoencoderKL'),
  ...modelFlags(),
  limitOption(),
];

/**
 * Adds `--from` to the command `build`, whose other form begins with the name of a graph: a command that runs if no such
 * name comes first.
 */
export function addFrom(build: Command, { io }: Cli): void {
  const command = build
    .command('from', { isDefault: true, hidden: true })
    .usage('--from FOLDER -o FILE [options]')
    .allowExcessArguments()
    // The options of a graph whose name is misspelt are unknown here: the message must be about the name.
    .allowUnknownOption()
    .action((options: FromOptions, { args: [first] }: Command) => {
      if (first?.startsWith('-')) refuseOption(first, command);
      if (options.from === undefined) {
        if (first !== undefined) getGraph(first);
        const known = [...GRAPHS.keys()].join(', ');
        throw new UsageError(`name the graph first: build GRAPH …; known: ${known}; or give --from FOLDER`);
      }
      if (first !== undefined) throw new UsageError(notWithGraph(first));
      requireOptions(command, build);
      return runFrom(options.from, options, io);
    });
  for (const flag of flags()) command.addOption(flag);
  // The command 'from' is not for users: 'build --help' lists its options.
  pointToHelp(command, build);
  build.addHelpText('after', () => `\nOptions of --from:\n${optionsOf(command)}`);
}

/** Says that the folder of `--from` names the network, for a command line that names one too. */
export const notWithGraph = (name: string): string =>
  `--from takes its network from the folder: remove '${name}' and write npx onnx-groupnorm build --from FOLDER -o FILE`;

/** Says of an unknown option what commander says elsewhere. */
function refuseOption(name: string, command: Command): never {
  const known = command.options.flatMap(({ long }) => long ?? []);
  const near = nearestName(name, known);
  command.error(`error: unknown option '${name}'${near === undefined ? '' : `\n(Did you mean ${near}?)`}`);
}

/** Returns the options of a command as its own help lists them, but for `--help`. */
function optionsOf(command: Command): string {
  const [, options = ''] = /^Options:\n(.*?)^  -h, /ms.exec(command.helpInformation()) ?? [];
  return options.trimEnd();
}

async function runFrom(folder: string, options: FromOptions, { stdout, stderr }: Io): Promise<void> {
  const { output, part, dtype, shape, limit: limits } = options;
  loweringOf(options); // Refuses a lowering that the opset lacks, before any work.
  const summary = await withProgress(stderr, async (progress) => {
    progress.step(`reading ${folder}`);
    await using model = await openPretrained(folder, { part, dtype, shape, limits });
    const outputs = [output, `${output}.data`].map((path) => ['-o', path] as const);
    const inputs = model.files.map((path) => ['a file of --from', path] as const);
    await refuseOverwritingInputs(outputs, inputs);
    const graph = withIo(model.graph, options);
    // A model of more than 2 GiB has no other form.
    const externalData = options.externalData ?? !parametersFit(graph);
    const onProgress = (done: number, total: number) =>
      progress.step(`writing ${output}: ${formatBytes(done)} of ${formatBytes(total)}`);
    const written = await writeBuild(graph, model.weights, { ...options, externalData }, onProgress);
    const from = listNames(model.files.slice(1), 2);
    return describeBuild(graph, { ...options, externalData }, from, written, describeOrigin(model));
  });
  print(stdout, ...summary);
}

/** Returns what was recognised: the class, and the options that are not the defaults of its graph. */
function describeOrigin({ library, className, options, graph }: PretrainedModel): string[][] {
  const defaults = GRAPHS.get(graph.name)?.options ?? {};
  const changed = Object.entries(options).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(defaults[name]?.default),
  );
  const list = changed.map(([name, value]) => `${name} ${String(value)}`).join('; ');
  return [
    ['class', `${className} of ${library}`],
    ['options', list || 'the defaults'],
  ];
}

export const FROM_EXAMPLES = `
Examples with files of your own:
  $ npx onnx-groupnorm build --from resnetv2_50x1_bit -o bit.onnx
  $ npx onnx-groupnorm build --from resnetv2_50x1_bit --dtype float16 --keep-io --external-data -o bit-16.onnx

--from reads these classes:
${wrap(knownClasses(), 100)}
It reads the weights while it writes the model, so that they need not fit in memory, and writes
FILE.data beside the model if they take more than 2 GiB.`;

/** Breaks a text between words into lines of at most so many characters. */
function wrap(text: string, width: number): string {
  return text.replace(new RegExp(`(.{1,${width - 2}})(?: |$)`, 'g'), '  $1\n').trimEnd();
}
