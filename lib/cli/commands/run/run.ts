/** `run`: runs a model on files of tensors or random numbers, or segments an image with it. */
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { writeFilesAtomic } from '../../../files/atomic.js';
import { isDataSetName, modelPathOf, testDataFiles } from '../../../parity/test-data-set.js';
import { printable } from '../../../printable.js';
import {
  groupNormOption,
  layoutOption,
  limitOption,
  missingCommas,
  parseCount,
  parseNumber,
  pointToHelp,
  providerOption,
} from '../../shared/options.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import { withProgress } from '../../shared/progress.js';
import { indent } from '../../shared/table.js';
import { type Cli, type Io, print, UsageError, widthOf } from '../../shared/terminal.js';
import { type ImageRequest, isImageRequest, parseChannels, runImage } from './image.js';
import { addInputOptions, type InputOptions, inputSources, loadInputs } from './inputs.js';
import { outputNotes, outputPaths, outputTable, splitOutputs, writeOutputs } from './outputs.js';
import { describeRun, openSession, runRepeatedly, type SessionRequest, withFittingSizes } from './session.js';

interface RunOptions extends SessionRequest, InputOptions, ImageRequest {
  readonly output?: string;
  readonly testData?: string;
}

/** Before each line below the first. */
const MARGIN = '  ';

export function addRun(program: Command, cli: Cli): void {
  const command = program
    .command('run')
    .summary('run an ONNX model on files of tensors, random numbers or an image')
    .description(DESCRIPTION)
    .argument('<model>', 'ONNX file to run');
  addInputOptions(command)
    .option(
      '--output <dir>',
      'folder to write the outputs to, a .npy file for each (default: only print a summary)',
    )
    .option(
      '--test-data <dir>',
      'folder test_data_set_N beside model.onnx to write the inputs and outputs to, as a test for parity',
    )
    .option('--image <file>', 'PNG to segment, with a model that finds the class of each pixel')
    .option('--mask <file>', 'PNG to write, with the class of each pixel of --image')
    .option(
      '--scores <name>',
      'output of the model that has a score or class for each pixel of --image, if several outputs do (default: the only one)',
    )
    .option(
      '--threshold <t>',
      'score above which a pixel of --image is of class 1, if the model gives one score for each pixel (default: 0.5 ' +
        'if all scores are within 0 and 1, otherwise 0)',
      parseNumber,
    )
    .option(
      '--mean <m>',
      'subtracted from the pixels of --image, which are within 0 and 1: R,G,B, one number, or imagenet',
      parseChannels('mean'),
    )
    .option('--std <s>', 'divides the pixels of --image, after --mean: as --mean', parseChannels('std'))
    .option('--repeat <n>', 'number of runs; prints the fastest and the median time', parseCount, 1)
    .addOption(providerOption())
    .addOption(groupNormOption())
    .addOption(layoutOption())
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .allowExcessArguments()
    .action((model: string, options: RunOptions, { args }: Command) => {
      refuseExcess(args.slice(1), options);
      return isImageRequest(options) ? runImage(model, options, cli.io) : run(model, options, cli.io);
    });
  pointToHelp(command);
}

/** Refuses a second argument. It is most often a size after a blank: `--dim N=1 H=64`. */
function refuseExcess(excess: readonly string[], { dim }: RunOptions): void {
  if (excess.length === 0) return;
  if (dim && excess.every((text) => /^[^=]+=\d+,?$/.test(text))) {
    throw missingCommas([...[...dim].map(([name, size]) => `${name}=${size}`), ...excess].join(' '));
  }
  throw new UsageError(`run takes one model, but there is a second argument '${excess[0]}'; remove it`);
}

async function run(path: string, options: RunOptions, io: Io): Promise<void> {
  const { testData } = options;
  if (testData !== undefined) requireDataSetOf(path, testData);
  const lines = await withProgress(io.stderr, async (progress) => {
    await using session = await openSession(path, options, progress);
    const { numbers, others } = splitOutputs(session.outputs);
    if (testData !== undefined && others.length > 0)
      throw new UsageError(
        `--test-data needs a model whose outputs are all tensors of numbers: ${others[0]}`,
      );
    const paths = outputPaths(numbers, options.output);
    const input = inputSources(options, session.inputs);
    const inputFiles = [...input].map(([name, file]): [string, string] => [`input '${name}'`, file]);
    await refuseOverwritingInputs(
      [...paths.values()].map((file) => ['--output', file]),
      [['the model', path], ...inputFiles],
    );
    const { feeds, notes } = await loadInputs(session.inputs, { ...options, input }, progress);
    const { result: outputs, times } = await runRepeatedly(session, options.repeat, progress, () =>
      session.run(feeds, { fetches: numbers.map(({ name }) => name) }),
    ).catch(async (error: unknown) => {
      throw await withFittingSizes(error, path, session.inputs, feeds);
    });
    if (options.output !== undefined) progress.step(`writing ${options.output}`);
    await writeOutputs(outputs, paths);
    if (testData !== undefined) {
      const files = [...testDataFiles(feeds, outputs)];
      await writeFilesAtomic(files.map(([name, content]) => ({ path: join(testData, name), content })));
    }
    progress.step('summarising the outputs');
    const width = widthOf(io.stdout);
    return [
      ...describeRun(path, session, times),
      ...[...notes, ...others, ...outputNotes(outputs, paths)].map((note) => MARGIN + printable(note)),
      '',
      indent(outputTable(outputs, paths, width && width - MARGIN.length), MARGIN),
    ];
  });
  print(io.stdout, ...lines);
}

/** @throws UsageError if the folder is not where `parity` finds the data sets of the model. */
function requireDataSetOf(model: string, folder: string): void {
  if (isDataSetName(basename(folder)) && resolve(modelPathOf(folder)) === resolve(model)) return;
  throw new UsageError(
    "--test-data takes a folder beside the model, whose name must be model.onnx, for parity to find both: 'run net/model.onnx " +
      "--test-data net/test_data_set_0'",
  );
}

const DESCRIPTION =
  'Runs an ONNX model with ONNX Runtime, and prints a summary of the outputs and the time that a run takes. Inputs ' +
  'are files of tensors, or random numbers from a standard normal distribution. The extension of a file says what it ' +
  'is: .npy, as numpy.save writes it; .npz, as numpy.savez writes it, of which run takes the array with the name of ' +
  "the input, or the only array; .pb, a TensorProto, as in ONNX's tests; .json, nested lists of numbers such as " +
  '[[1, 2], [3, 4]] of at most 32 MiB, as json.dump(x.tolist(), file) writes them.\n\n' +
  '--image and --mask segment a PNG. The model must have one input [N, 1 or 3, H, W] or [N, H, W, 1 or 3], and an ' +
  'output with scores of classes, or the index of a class, for each pixel: of the same size or a fraction of it, ' +
  'channels first or last; --scores names it where several outputs are like this. Pixels become numbers from 0 to 1 (bytes for an input of uint8), and alpha is dropped; --mean imagenet --std imagenet ' +
  'prepares them as networks that were trained on ImageNet need them. If the model cannot take the size of the image, ' +
  'run extends the image by its reflection at the right and lower edges, to the size that the model declares, or to a ' +
  'multiple of 16 or else of 32, and crops the mask; if the declared size is smaller, run scales the image and the scores. For two ' +
  'classes, or one score above or below --threshold, the mask is black and white; for more classes it has the colours ' +
  'of PASCAL VOC.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ npx onnx-groupnorm run gn.onnx --input x=random --dim N=1,H=64,W=64
  $ npx onnx-groupnorm run gn.onnx --random --dim N=1,H=64,W=64 --output out --repeat 20
  $ npx onnx-groupnorm run gn.onnx --input x=out/y.npy

Examples with files of your own:
  $ npx onnx-groupnorm run unet.onnx --image cells.png --mask mask.png

Exit codes: 0 the model ran; 2 bad usage, a file that cannot be read, or inputs that do not fit.`;
