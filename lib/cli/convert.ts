/** `convert`: a model of the user's own with GroupNorm written as a lowering. */
import { Option, type Command } from 'commander';
import { writeFilesAtomic } from '../files/atomic.js';
import { readFileBytes } from '../files/read.js';
import { getLowering, LOWERING_NAMES, MAX_OPSET } from '../lowering/index.js';
import { Model } from '../onnx/index.js';
import { convertModel } from '../rewrite/index.js';
import { describeConversion } from './convert-summary.js';
import { print, type Cli, type Io } from './io.js';
import { requireInputsKept } from './keep-inputs.js';
import { planModelData } from './model-data.js';
import { withProgress } from './progress.js';
import { RequiredOption, requireOptions } from './required-option.js';

export interface ConvertFlags {
  readonly output: string;
  readonly lowering?: string;
}

export function addConvert(program: Command, cli: Cli): void {
  const command = program
    .command('convert')
    .summary('rewrite GroupNorm in an ONNX file, for any runtime')
    .description(DESCRIPTION)
    .usage('MODEL -o FILE [options]')
    .argument('<model>', 'the .onnx file to read')
    .addOption(new RequiredOption('-o, --output <file>', 'the ONNX file to write'))
    .addOption(
      new Option(
        '--lowering <name>',
        `how GroupNorm is written: ${LOWERING_NAMES.join(', ')} (default: reduce-mean; op takes a model of opset 21 ` +
          'or later)',
      ),
    )
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError("'onnx-groupnorm convert --help' explains what it takes")
    .action((model: string, flags: ConvertFlags) => {
      requireOptions(command);
      return convert(model, flags, cli.io);
    });
}

async function convert(path: string, { output, lowering }: ConvertFlags, io: Io): Promise<void> {
  await requireInputsKept([['-o', output]], [['the model', path]]);
  const summary = await withProgress(io.stderr, async (progress) => {
    progress.step(`loading ${path}`);
    const bytes = await readFileBytes(path);
    progress.step(`converting ${path}`);
    const name = lowering === undefined ? undefined : getLowering(lowering, MAX_OPSET).name;
    const converted = convertModel(bytes, { lowering: name, where: path });
    const data = await planModelData(path, output, Model.decode(bytes, path).externalLocations());
    progress.step(`writing ${output}`);
    await writeFilesAtomic([...data.copies, { path: output, content: converted.bytes }]);
    return describeConversion({ path, output, converted, data });
  });
  print(io.stdout, ...summary);
}

const DESCRIPTION =
  'Writes a copy of an ONNX model in which every GroupNorm is made of operators that every runtime has, with results ' +
  'that are right whatever the mean. It finds GroupNormalization, for which ONNX Runtime has no kernel; ' +
  'InstanceNormalization between two Reshapes, which PyTorch exports below opset 21; and the inlined body that ONNX ' +
  'Runtime or onnx.inliner leave. The opset and all else stay as they are.\n\n' +
  'Other normalizations that ONNX Runtime gets wrong are written as reduce-mean: InstanceNormalization, and ' +
  'LayerNormalization over rows of more than 1,024 elements or of unknown length. --lowering instance-norm or ' +
  'layer-norm leaves the operator of that name.\n\n' +
  '--lowering op writes the standard operator, and leaves all other normalizations: for runtimes that have a kernel ' +
  'for it, and for sessions of this package.\n\n' +
  'A model without any of these is written as it is. A GroupNormalization in a local function, or in the body of an ' +
  'If, Loop or Scan, is refused. Weights in files of their own stay there if the output goes to the same folder; else ' +
  'they are copied beside it, but not over another file.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm convert gn.onnx -o gn-portable.onnx
  $ onnx-groupnorm convert gn.onnx -o out/gn.onnx --lowering layer-norm
  $ onnx-groupnorm convert gn.onnx -o gn-op.onnx --lowering op

Exit codes: 0 written, even if there was nothing to rewrite; 2 bad usage or bad input, and an older
file is left as it was.`;
