/** `convert`: copies an ONNX model and rewrites its GroupNorm, and copies the files that hold its weights. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type FileToWrite, writeFilesAtomic } from '../../../files/atomic.js';
import type { Limits } from '../../../limits.js';
import { getSessionLowering, MAX_OPSET } from '../../../lowering/choose.js';
import { type LoweringName, SESSION_LOWERING_NAMES } from '../../../lowering/types.js';
import { readModelFile } from '../../../onnx/write.js';
import { printable } from '../../../printable.js';
import { formatBytes, plural } from '../../../quantities.js';
import { batchNormToGroupNorm } from '../../../rewrite/batch-norm/batch-norm.js';
import { type ConvertedModel, convertModel, type ReplacedNorms } from '../../../rewrite/convert.js';
import {
  limitOption,
  parseCount,
  parseTolerance,
  pointToHelp,
  RequiredOption,
  requireOptions,
} from '../../shared/options.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import { type Progress, withProgress } from '../../shared/progress.js';
import { type Cli, colorsOf, EXIT, print, UsageError } from '../../shared/terminal.js';
import { convertStateDict, describeModel, isStateDict } from './batch-norm.js';
import { type ModelData, planFiles } from './data.js';
import { DEFAULT_RUNS, verifyConversion, type VerifyOptions } from './verify.js';
import { addInputOptions } from '../run/inputs.js';

interface ConvertOptions extends VerifyOptions {
  readonly lowering?: string;
  readonly merge?: boolean;
  /** `true` without a number. */
  readonly batchNormToGroupNorm?: number | true;
  readonly keepAffine?: boolean;
  readonly limit?: Partial<Limits>;
}

export function addConvert(program: Command, cli: Cli): void {
  const command = program
    .command('convert')
    .summary('rewrite GroupNorm in an ONNX file, for any runtime, or BatchNorm as GroupNorm')
    .description(DESCRIPTION)
    .usage('MODEL -o FILE [options]')
    .argument('<model>', 'ONNX file to read')
    .addOption(new RequiredOption('-o, --output <file>', 'ONNX file to write'))
    .addOption(
      new Option(
        '--lowering <name>',
        `how to write GroupNorm: ${SESSION_LOWERING_NAMES.join(', ')} (default: reduce-mean; with --batch-norm-to-group-norm op from opset 21 on; op needs a model of opset 21 ` +
          "or later; contrib-group-norm is ONNX Runtime's own operator, for CUDA)",
      ),
    )
    .option(
      '--merge',
      'write the standard operator, as --lowering op does, and make a model below opset 21 one of opset 21, if that ' +
        'changes the meaning of no other node',
    )
    .addOption(
      new Option(
        '--batch-norm-to-group-norm [groups]',
        'replace each BatchNormalization by GroupNorm with 32 groups, or this number, halved until it divides the ' +
          'channels. The network must be trained again. MODEL may be a state_dict (.safetensors) too',
      ).argParser(parseGroups),
    )
    .option(
      '--keep-affine',
      'keep scale and bias of each BatchNormalization (default: scale 1 and bias 0, as in a new torch.nn.GroupNorm)',
    )
    .option(
      '--verify [n]',
      `compare the outputs before and after on N random inputs (default: ${DEFAULT_RUNS}) or --input, and do not write ` +
        'the file if they differ',
      parseCount,
    );
  addInputOptions(command)
    .option(
      '--rtol <r>',
      'relative tolerance of --verify for floats (default: that of torch.testing.assert_close for the dtype)',
      parseTolerance,
    )
    .option(
      '--atol <a>',
      'absolute tolerance of --verify for floats (default: as for --rtol)',
      parseTolerance,
    )
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .action((model: string, options: ConvertOptions) => {
      requireOptions(command);
      requireFitting(model, options);
      requireVerify(command, options);
      return convert(model, options, cli);
    });
  pointToHelp(command);
}

/** Parses the number of groups. The model's path is taken for the number if it follows the option. */
function parseGroups(text: string): number {
  if (!/^[+-]?\d/.test(text))
    throw new InvalidArgumentError(
      'It must be a number of groups, such as 32; write MODEL before the option.',
    );
  return parseCount(text);
}

/** @throws UsageError for options that do not fit together. */
function requireFitting(
  path: string,
  { batchNormToGroupNorm, keepAffine, lowering, merge, verify }: ConvertOptions,
): void {
  const isRecipe = batchNormToGroupNorm !== undefined;
  if (keepAffine && !isRecipe)
    throw new UsageError(
      '--keep-affine belongs to --batch-norm-to-group-norm; add it, or remove --keep-affine',
    );
  if (isRecipe && verify !== undefined)
    throw new UsageError(
      '--verify requires equal results, and --batch-norm-to-group-norm changes them by design; remove --verify',
    );
  if (merge && isRecipe)
    throw new UsageError(
      '--merge and --batch-norm-to-group-norm are two conversions: run convert once for each, --merge first',
    );
  if (merge && lowering !== undefined && lowering !== 'op')
    throw new UsageError(`--merge writes the standard operator; remove --merge or --lowering ${lowering}`);
  if (isRecipe && lowering !== undefined && isStateDict(path))
    throw new UsageError(
      `--lowering writes nodes of a model, and ${path} is a state_dict; remove --lowering`,
    );
}

/** Refuses options of `--verify` without it. */
function requireVerify(command: Command, { verify }: ConvertOptions): void {
  if (verify !== undefined) return;
  const names = ['input', 'random', 'dim', 'seed', 'rtol', 'atol'];
  const given = names.find((name) => command.getOptionValueSource(name) === 'cli');
  if (given !== undefined)
    throw new UsageError(`--${given} belongs to --verify; add it, or remove --${given}`);
}

/** A file that is ready to be written. */
interface Outcome {
  readonly files: readonly FileToWrite[];
  /** What was done, for stdout. */
  readonly lines: readonly string[];
  /** For stderr. */
  readonly warnings: readonly string[];
  /** Why the files must not be written. */
  readonly failure?: readonly string[];
}

async function convert(path: string, options: ConvertOptions, cli: Cli): Promise<void> {
  const { output } = options;
  const { stdout, stderr } = cli.io;
  await refuseOverwritingInputs([['-o', output]], [['the model', path]]);
  const { lines, warnings, failure } = await withProgress(stderr, async (progress) => {
    progress.step(`converting ${path}`);
    const outcome = await convertFile(path, options, progress);
    if (outcome.failure) return outcome;
    progress.step(`writing ${output}`);
    await writeFilesAtomic(outcome.files);
    return outcome;
  });
  if (failure) {
    cli.exitCode = EXIT.failed;
    print(stderr, ...failure.map(printable));
    return;
  }
  print(stdout, ...lines.map(printable));
  for (const warning of warnings)
    print(stderr, `${colorsOf(stderr).yellow('warning:')} ${printable(warning)}`);
}

async function convertFile(path: string, options: ConvertOptions, progress: Progress): Promise<Outcome> {
  const { output, batchNormToGroupNorm: groups, keepAffine = false, limit } = options;
  const recipe = { numGroups: groups === true ? undefined : groups, keepAffine };
  if (groups !== undefined && isStateDict(path)) return convertStateDict(path, output, recipe, limit);
  const bytes = await readModelFile(path);
  if (groups === undefined) return convertNorms(path, options, bytes, progress);
  const lowering = options.lowering as LoweringName | undefined;
  const converted = batchNormToGroupNorm(bytes, { ...recipe, lowering, where: path, limits: limit });
  const { files, data } = await planFiles(path, options, bytes, converted.bytes);
  const [wrote, ...rest] = describeModel(converted, output, keepAffine);
  return { files, lines: [wrote!, ...describeData(data), ...rest], warnings: converted.warnings };
}

async function convertNorms(
  path: string,
  options: ConvertOptions,
  bytes: Uint8Array,
  progress: Progress,
): Promise<Outcome> {
  const { output, lowering, merge, limit, verify } = options;
  const name = lowering === undefined ? undefined : getSessionLowering(lowering, MAX_OPSET).name;
  const converted = convertModel(bytes, { lowering: name, merge, where: path, limits: limit });
  const { files, data } = await planFiles(path, options, bytes, converted.bytes);
  const lines = describeConversion({ path, output, converted, data });
  if (verify === undefined || isCopy(converted)) return { files, lines, warnings: [] };
  const verified = await verifyConversion(path, converted, options, progress);
  return {
    files,
    lines: [...lines, ...verified.lines],
    warnings: [],
    ...(!verified.passed && { failure: verified.lines }),
  };
}

/** A conversion that has been written. */
interface Conversion {
  readonly path: string;
  readonly output: string;
  readonly converted: ConvertedModel;
  readonly data: Pick<ModelData, 'locations' | 'copies'>;
}

/** Returns what was written and replaced, and what the output still needs, as lines. */
export function describeConversion({ path, output, converted, data }: Conversion): string[] {
  const { bytes, replaced } = converted;
  const written = `Wrote ${output} (${formatBytes(bytes.byteLength)})`;
  return [
    isCopy(converted) ? `${written}, a copy of ${path}: there is nothing to rewrite` : written,
    ...describeReplaced(converted),
    ...(converted.raisedFrom === undefined
      ? []
      : [`Opset ${converted.raisedFrom} became 21: all other nodes compute what they did`]),
    ...(replaced.rows > 0
      ? [
          `${plural(replaced.rows, 'other normalization')} in which ONNX Runtime loses digits, written as reduce-mean`,
        ]
      : []),
    ...(converted.nhwcConvs > 0 ? [`${converted.nhwcConvs} com.microsoft.NhwcConv written as Conv`] : []),
    ...describeData(data),
    ...describeNeeds(converted),
  ];
}

const isCopy = ({ replaced, nhwcConvs }: ConvertedModel): boolean =>
  nhwcConvs === 0 && Object.values(replaced).every((count) => count === 0);

/** The forms in which a model can have GroupNorm, in words. */
const FORMS: readonly (readonly [form: keyof ReplacedNorms, words: string])[] = [
  ['groupNormalization', 'GroupNormalization'],
  ['exported', 'as PyTorch exports it below opset 21'],
  ['contrib', "as ONNX Runtime's com.microsoft operators"],
  ['inlined', 'written out in arithmetic'],
];

function describeReplaced({ replaced, lowerings }: ConvertedModel): string[] {
  const forms = FORMS.filter(([form]) => replaced[form] > 0);
  const total = forms.reduce((sum, [form]) => sum + replaced[form], 0);
  if (total > 0) {
    const each = forms.map(([form, words]) => `${replaced[form]} ${words}`).join(', ');
    return [`${total} GroupNorm written as ${lowerings.join(' and ')}: ${each}`];
  }
  return replaced.rows > 0 ? ['No GroupNorm to rewrite'] : [];
}

function describeData({ locations, copies }: Conversion['data']): string[] {
  if (locations.length === 0) return [];
  return [`Keep its weights beside it: ${locations.join(', ')}${copies.length > 0 ? ' (copied)' : ''}`];
}

function describeNeeds({ lowerings, foreign }: ConvertedModel): string[] {
  return [
    ...(lowerings.includes('op')
      ? [
          'ONNX Runtime has no kernel for GroupNormalization and loses digits when the mean is large: run the model in ' +
            'a session of onnx-groupnorm',
        ]
      : []),
    ...(lowerings.includes('contrib-group-norm')
      ? ['com.microsoft.GroupNorm runs on CUDA by ONNX Runtime, and elsewhere in sessions of onnx-groupnorm']
      : []),
    ...(foreign.length > 0 ? [`Kept operators that only some runtimes have: ${foreign.join(', ')}`] : []),
  ];
}

const DESCRIPTION =
  'Copies an ONNX model and writes every GroupNorm with operators that every runtime has. The results are right, ' +
  'however large the mean of a group is. convert finds GroupNormalization, for which ONNX Runtime has no kernel; ' +
  'InstanceNormalization between two Reshapes, which PyTorch exports below opset 21; the GroupNorm and SkipGroupNorm ' +
  'that the optimizer of ONNX Runtime writes for GPUs; and arithmetic: the definition that ONNX Runtime and ' +
  'onnx.inliner write in place of the operator, the form of Keras 3, and GroupNorm written by hand in PyTorch. It keeps ' +
  'the opset and all other nodes.\n\n' +
  'ONNX Runtime also loses digits in other normalizations. convert writes these as reduce-mean: ' +
  'InstanceNormalization, and LayerNormalization over rows of more than 1,024 elements or of unknown length. ' +
  '--lowering instance-norm or layer-norm keeps the operator of that name.\n\n' +
  '--lowering op writes the standard operator and keeps all other normalizations. Use it for runtimes that have a ' +
  'kernel for the operator, and for sessions of this package. --merge does the same to a model below opset 21: it makes ' +
  'the model one of opset 21, edits the nodes that opset 21 writes differently, and refuses a model with a node that ' +
  'means something else there.\n\n' +
  'convert rewrites local functions and the bodies of If, Loop and Scan too, but not the GroupNorm and SkipGroupNorm of ' +
  'ONNX Runtime in them. If there is nothing to rewrite, the output is a copy of the model. Weights in separate files stay in ' +
  'place if the output goes to the same folder. Otherwise convert copies them beside the output, but never over a ' +
  'different file.\n\n' +
  '--batch-norm-to-group-norm applies the recipe for small batches: it replaces each BatchNormalization by GroupNorm, ' +
  'drops the statistics, and leaves all else. The network must be trained again. The names of weights and biases are those ' +
  "of PyTorch's state_dict. Export with dynamo=True and optimize=False, or dynamo=False and do_constant_folding=False: " +
  'by default, exporters fold BatchNorm into convolutions.\n\n' +
  '--verify runs the model before and after on the same inputs and compares the outputs. All inputs are random, or given ' +
  'by --input, --random, --dim and --seed as for run.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ npx onnx-groupnorm convert gn.onnx -o gn-portable.onnx --verify --dim N=1,H=64,W=64
  $ npx onnx-groupnorm convert gn.onnx -o out/gn.onnx --lowering layer-norm
  $ npx onnx-groupnorm convert out/gn.onnx -o gn-op.onnx --merge

Examples with files of your own:
  $ npx onnx-groupnorm convert resnet50.onnx -o resnet50-gn.onnx --batch-norm-to-group-norm
  $ npx onnx-groupnorm convert resnet50.safetensors -o gn.safetensors --batch-norm-to-group-norm 16

Exit codes: 0 written, even if there was nothing to rewrite; 1 --verify found a difference; 2 bad usage
or bad input. After 1 and 2, an older file stays as it was.`;
