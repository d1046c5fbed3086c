/** `run`: a model on inputs from `.npy` files or random numbers, or on an image. */
import type { Command } from 'commander';
import type { SessionLoweringName } from '../../lowering/types.js';
import { PROVIDERS, requireProviders, type Session, type TensorRecord } from '../../runtime/core/contract.js';
import { createSession } from '../../runtime/node.js';
import { formatShape } from '../../tensor.js';
import {
  collectPair,
  collectSizes,
  groupNormOption,
  parseCount,
  parseInteger,
  parseNames,
  withCommas,
} from '../shared/options.js';
import { requireInputsKept } from '../shared/overwrite-guard.js';
import { withProgress } from '../shared/progress.js';
import { type Column, fitTable, indent } from '../shared/table.js';
import { type Cli, type Io, print, UsageError, widthOf } from '../shared/terminal.js';
import { type ImageRequest, isImageRequest, runImage } from './run-image.js';
import { describeExecution, describeFallbacks, describeTimes, runRepeatedly } from './run-report.js';
import {
  describeNotFinite,
  type InputRequest,
  loadInputs,
  outputPaths,
  summarize,
  writeOutputs,
} from './run-tensors.js';

/** What `indent` puts before each line. */
const MARGIN = 2;

interface RunOptions extends InputRequest, ImageRequest {
  readonly output?: string;
  readonly repeat: number;
  readonly provider: string;
  readonly groupNorm?: SessionLoweringName;
}

interface RunResult {
  readonly session: Session;
  /** What was done to the inputs. */
  readonly notes: readonly string[];
  readonly outputs: TensorRecord;
  /** Milliseconds of each run. */
  readonly times: readonly number[];
  readonly files: ReadonlyMap<string, string>;
}

export function addRun(program: Command, cli: Cli): void {
  program
    .command('run')
    .summary('run an ONNX model on .npy files, random numbers or an image')
    .description(DESCRIPTION)
    .argument('<model>', 'the .onnx file')
    .option('--input <name=file>', 'NAME=FILE.npy or NAME=random; once for each input', collectPair)
    .option('--output <dir>', 'folder for the outputs, one .npy file each (default: print a summary only)')
    .option(
      '--dim <name=size>',
      'sizes for the names in the shapes of random inputs, such as N=1,H=64',
      collectSizes,
    )
    .option('--image <file>', 'segment this PNG: the model gives each pixel a class')
    .option('--mask <file>', 'PNG for the classes of --image')
    .option('--seed <n>', 'seed of random inputs', parseInteger, 0)
    .option('--repeat <n>', 'run so many times and report the fastest and the median', parseCount, 1)
    .option(
      '--provider <names>',
      `execution provider: ${PROVIDERS.join(', ')}; or several in order of preference (cuda,cpu)`,
      'cpu',
    )
    .addOption(groupNormOption())
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError("'onnx-groupnorm run --help' explains what it takes")
    .allowExcessArguments()
    .action((model: string, options: RunOptions, { args }: Command) => {
      refuseExcess(args.slice(1), options);
      return isImageRequest(options) ? runImage(model, options, cli.io) : run(model, options, cli.io);
    });
}

/** More than one argument: most often sizes with spaces between them. */
function refuseExcess(excess: readonly string[], { dim }: RunOptions): void {
  if (excess.length === 0) return;
  if (dim && excess.every((text) => /^[^=]+=\d+,?$/.test(text))) {
    const given = [...dim].map(([name, size]) => `${name}=${size}`);
    throw new UsageError(
      `write commas between sizes: --dim ${withCommas([...given, ...excess].join(' ')).replace(/,$/, '')}`,
    );
  }
  throw new UsageError(`run takes one model; what is '${excess[0]}'?`);
}

async function run(path: string, options: RunOptions, io: Io): Promise<void> {
  const lines = await withProgress(io.stderr, async (progress) => {
    progress.step(`loading ${path}`);
    const session = await createSession(path, {
      providers: requireProviders(parseNames(options.provider)),
      groupNorm: options.groupNorm,
    });
    try {
      const targets = outputPaths(session.outputs, options.output);
      await requireInputsKept(
        [...targets].map(([, file]) => ['--output', file]),
        [['the model', path], ...inputFiles(options)],
      );
      const { feeds, notes } = await loadInputs(session.inputs, options, progress);
      const { result: outputs, times } = await runRepeatedly(session, options.repeat, progress, () =>
        session.run(feeds),
      );
      if (options.output !== undefined) progress.step(`writing ${options.output}`);
      const files = await writeOutputs(outputs, targets);
      progress.step('summing up');
      return describe(path, options, { session, notes, outputs, times, files }, widthOf(io.stdout));
    } finally {
      await session.dispose();
    }
  });
  print(io.stdout, ...lines);
}

const inputFiles = ({ input }: RunOptions): [string, string][] =>
  [...(input ?? [])].map(([name, file]) => [`input '${name}'`, file]);

function describe(
  path: string,
  { output }: RunOptions,
  { session, notes, outputs, times, files }: RunResult,
  width: number | undefined,
): string[] {
  const values = Object.entries(outputs);
  const summaries = values.map(([, value]) => summarize(value));
  const columns: Column[] = [
    { head: 'output', cells: values.map(([name]) => name) },
    { head: 'dtype', cells: values.map(([, { dtype }]) => dtype), drop: 1 },
    { head: 'shape', cells: values.map(([, { dims }]) => formatShape(dims)) },
    ...['min', 'max', 'mean'].map((head, index) => ({
      head,
      cells: summaries.map((three) => three[index]!),
    })),
    ...(output === undefined
      ? []
      : [{ head: 'file', cells: values.map(([name]) => files.get(name) ?? ''), cut: true }]),
  ];
  return [
    `${path} on ${describeExecution(session)}: ${describeTimes(times)}`,
    ...[...describeFallbacks(session), ...notes, ...outputNotes(outputs, output)].map((note) => `  ${note}`),
    '',
    indent(fitTable(columns, width && width - MARGIN)),
  ];
}

/** What the figures of the outputs, and their files, do not say. */
function outputNotes(outputs: TensorRecord, folder: string | undefined): string[] {
  return Object.entries(outputs).flatMap(([name, value]) => {
    const notFinite = describeNotFinite(value);
    return [
      ...(notFinite ? [`output ${name}: ${notFinite}; min, max and mean are those of the others`] : []),
      ...(folder !== undefined && value.dtype === 'bfloat16'
        ? [`output ${name}: bfloat16, which NumPy does not have, saved as float32`]
        : []),
    ];
  });
}

const DESCRIPTION =
  'Runs an ONNX model through ONNX Runtime and says what came out and how long it took. Inputs are .npy files, as ' +
  'numpy.save writes them, or random numbers from a standard normal distribution.\n\n' +
  'With --image and --mask it segments a PNG of any kind, with a model of one input [N, 1 or 3, H, W] and one ' +
  'output [N, classes, H, W]. Samples become 0 to 1, alpha is dropped. An image of a size that the model cannot ' +
  'take is reflected at its right and lower edge up to a multiple of 16, or else of 32, and the mask is cut back. ' +
  'Two classes, or one logit above or below 0, give a black and white mask; more have the colours of PASCAL VOC.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm run gn.onnx --input x=random --dim N=1,H=64,W=64
  $ onnx-groupnorm run gn.onnx --input x=random --dim N=1,H=64,W=64 --output out --repeat 20
  $ onnx-groupnorm run gn.onnx --input x=x.npy --output out
  $ onnx-groupnorm build unet --num-groups 4 --width 8 --weights demo/unet-cells.safetensors -o unet.onnx
  $ onnx-groupnorm run unet.onnx --image demo/cells.png --mask mask.png

Exit codes: 0 the model ran; 2 bad usage, a file that cannot be read, or inputs that do not fit.`;
