/** `inspect`: says what is in an ONNX model, and how its normalizations run. */
import type { Command } from 'commander';
import { writeFileAtomic } from '../../../files/atomic.js';
import { inspectModel } from '../../../insight/node.js';
import type { Limits } from '../../../limits.js';
import { printable, printableJson } from '../../../printable.js';
import { PROVIDERS, type TensorInfo } from '../../../runtime/core/contract.js';
import { requireProviders } from '../../../runtime/core/providers.js';
import { UNKNOWN_DIM } from '../../../tensor.js';
import { limitOption, parseNames, pointToHelp } from '../../shared/options.js';
import { refuseOverwritingInputs, requireWritableOutputs } from '../../shared/output-files.js';
import { withProgress } from '../../shared/progress.js';
import { type Cli, type Io, print, UsageError, widthOf } from '../../shared/terminal.js';
import { describeInspection } from './report.js';
import { inspectionPage } from './page.js';
import { addInputOptions, type InputOptions, inputSources, loadInputs } from '../run/inputs.js';

interface InspectCommandOptions extends InputOptions {
  readonly provider: string;
  readonly json?: string;
  readonly html?: string;
  readonly limit?: Partial<Limits>;
}

export function addInspect(program: Command, cli: Cli): void {
  const command = program
    .command('inspect')
    .summary('say what is in an ONNX file, and how its normalizations run')
    .description(DESCRIPTION)
    .usage('MODEL [options]')
    .argument('<model>', 'ONNX file to read');
  addInputOptions(command)
    .option(
      '--provider <names>',
      `execution provider that runs the model: ${PROVIDERS.join(', ')}; or several in order of preference (cuda,cpu)`,
      'cpu',
    )
    .option('--html <file>', 'write a page for people: the table, and charts of what a run has measured')
    .option('--json <file>', 'write everything as JSON; - writes it to stdout, and the table to stderr')
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .action((model: string, options: InspectCommandOptions) => {
      requireRun(command, options);
      return inspect(model, options, cli.io);
    });
  pointToHelp(command);
}

async function inspect(path: string, options: InspectCommandOptions, io: Io): Promise<void> {
  const { json, html, limit: limits } = options;
  const files: [string, string | undefined][] = [
    ['--json', json === '-' ? undefined : json],
    ['--html', html],
  ];
  await refuseOverwritingInputs(files, [['the model', path]]);
  await requireWritableOutputs(files);
  const { inspection, notes } = await withProgress(io.stderr, async (progress) => {
    progress.step(`loading ${path}`);
    const unmeasured = await inspectModel(path, { limits });
    if (!asksForRun(options)) return { inspection: unmeasured, notes: [] };
    const { inputs } = unmeasured.model;
    const sources = inputSources(options, inputs);
    const inputFiles = [...sources].map(([name, file]): [string, string] => [`input '${name}'`, file]);
    await refuseOverwritingInputs(files, inputFiles);
    const infos = inputs.map(asSessionsNameDims);
    const loaded = await loadInputs(infos, { ...options, input: sources }, progress);
    progress.step(`running ${path}`);
    const providers = requireProviders(parseNames(options.provider));
    const inspection = await inspectModel(path, { limits, feeds: loaded.feeds, session: { providers } });
    return { inspection, notes: loaded.notes };
  });
  const text = `${printableJson(inspection)}\n`;
  if (json === '-') io.stdout.write(text);
  else if (json !== undefined) await writeFileAtomic(json, text);
  if (html !== undefined) await writeFileAtomic(html, inspectionPage(path, inspection));
  const human = json === '-' ? io.stderr : io.stdout;
  print(human, ...describeInspection(path, inspection, widthOf(human)), ...notes.map(printable));
}

const asksForRun = ({ input, random }: InspectCommandOptions): boolean =>
  input !== undefined || random === true;

/** Refuses options of a run without a run. */
function requireRun(command: Command, options: InspectCommandOptions): void {
  if (asksForRun(options)) return;
  const given = ['dim', 'seed', 'provider'].find((name) => command.getOptionValueSource(name) === 'cli');
  if (given === undefined) return;
  throw new UsageError(
    `--${given} is for a run: add --random, or --input NAME=FILE for each input of the model`,
  );
}

/** An unknown size has no name in sessions, so that --dim takes the name of the input and the axis. */
const asSessionsNameDims = (info: TensorInfo): TensorInfo => ({
  ...info,
  shape: info.shape?.map((dim) => (dim === UNKNOWN_DIM ? '' : dim)),
});

const DESCRIPTION =
  'Says what is in an ONNX model: who wrote it, inputs and outputs, operators, weights and the files that hold them. ' +
  'Then it lists every normalization, however the model has it: GroupNormalization; the InstanceNormalization between ' +
  "two Reshapes that PyTorch exports below opset 21; arithmetic; com.microsoft's operators; InstanceNormalization, " +
  'LayerNormalization, RMSNormalization and BatchNormalization. A row has the PyTorch module where the exporter left ' +
  'it, and how a session runs the normalization on each provider: by the native kernel, rewritten as a lowering such as ' +
  "reduce-mean, or by ONNX Runtime's own operator (onnxruntime).\n\n" +
  'Without inputs, inspect runs nothing: it needs neither a provider nor the files of the weights. With --input or ' +
  '--random it runs the model, and measures the worst row (a group of a sample) of the input of each normalization: how ' +
  "many standard deviations its mean is from 0, and how far ONNX Runtime's own definition of GroupNormalization would be " +
  'from float64 there.\n\n' +
  'A narrow terminal leaves columns out; --json and --html have all of them.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ npx onnx-groupnorm inspect gn.onnx
  $ npx onnx-groupnorm inspect gn.onnx --random --dim N=1,H=64,W=64 --html report.html
  $ npx onnx-groupnorm run gn.onnx --random --dim N=1,H=64,W=64 --output out
  $ npx onnx-groupnorm inspect gn.onnx --input x=out/y.npy
  $ npx onnx-groupnorm inspect gn.onnx --json - > report.json

'form' says how the model has GroupNorm: as an operator, exported (Reshape, InstanceNormalization,
Reshape), written (in arithmetic), inlined (in arithmetic, with the variance as E[x²] − E[x]²) or
lowered (as build and convert of this package write it).
'then' is the activation behind it, and Add the residual in between.
'mean ÷ dev' is the largest |mean| ÷ √(variance + epsilon) of a row, and 'inlined error' the largest
difference from float64 of the result before scale and bias, whose deviation is about 1.

Exit codes: 0 done, with warnings or without; 2 bad usage, bad input, or a model that does not run.`;
