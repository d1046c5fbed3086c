/** `export-triton`: writes a model as a folder of a Triton model repository. */
import { stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { findBatchDependence, OPEN_SIZE, openSizes } from '../../../deploy/batch-check.js';
import { TRITON_DEVICES, tritonConfig, type TritonModel, tritonReadme } from '../../../deploy/triton.js';
import { ModelError, SessionError } from '../../../errors.js';
import { writeFilesAtomic } from '../../../files/atomic.js';
import { readFileBytes } from '../../../files/read.js';
import { type Limits, requireLimits } from '../../../limits.js';
import { getSessionLowering, MAX_OPSET } from '../../../lowering/choose.js';
import { SESSION_LOWERING_NAMES } from '../../../lowering/types.js';
import { Model } from '../../../onnx/model.js';
import { readModelFile } from '../../../onnx/write.js';
import { printable } from '../../../printable.js';
import { convertModel } from '../../../rewrite/convert.js';
import type { Session, TensorInfo } from '../../../runtime/core/contract.js';
import { withSession } from '../../../runtime/session/open.js';
import { wrongOptimizers } from '../../../runtime/core/workarounds.js';
import { createSessionBeside } from '../../../runtime/node.js';
import { whyNotBatchable } from '../../../server/batching/batchable.js';
import {
  collectSizes,
  limitOption,
  parseCount,
  parseInteger,
  parseTolerance,
  pointToHelp,
  RequiredOption,
  requireOptions,
} from '../../shared/options.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import { type Progress, withProgress } from '../../shared/progress.js';
import { type Cli, print, UsageError } from '../../shared/terminal.js';
import { describeConversion } from '../convert/convert.js';
import { planFiles } from '../convert/data.js';

interface ExportTritonOptions {
  readonly output: string;
  readonly name?: string;
  readonly lowering: string;
  readonly maxBatchSize?: number;
  readonly maxQueueDelay: number;
  readonly instances: number;
  readonly device: TritonModel['device'];
  readonly labels?: string;
  readonly dim?: ReadonlyMap<string, number>;
  readonly overwrite?: boolean;
  readonly limit?: Partial<Limits>;
}

export function addExportTriton(program: Command, cli: Cli): void {
  const command = program
    .command('export-triton')
    .summary('write a model as a folder of a Triton model repository')
    .description(DESCRIPTION)
    .usage('MODEL -o REPOSITORY [options]')
    .argument('<model>', 'ONNX file to read')
    .addOption(
      new RequiredOption('-o, --output <folder>', 'the model repository; the model gets a folder in it'),
    )
    .addOption(
      new Option('--name <name>', 'name of the model in Triton (default: that of the file)').argParser(
        parseName,
      ),
    )
    .option(
      '--lowering <name>',
      `how to write GroupNorm: ${SESSION_LOWERING_NAMES.join(', ')}`,
      'reduce-mean',
    )
    .option(
      '--max-batch-size <n>',
      `most samples of a batch; 0 for a model that takes no batches (default: ${DEFAULT_BATCH} if the model can be batched, 0 if not)`,
      parseBatchSize,
    )
    .option('--max-queue-delay <ms>', 'milliseconds that a request may wait for others', parseTolerance, 0)
    .option('--instances <n>', 'requests or batches that run at once on each device', parseCount, 1)
    .addOption(
      new Option('--device <name>', 'where Triton runs the model; auto: on a GPU if there is one')
        .choices([...TRITON_DEVICES])
        .default('auto'),
    )
    .option('--labels <file>', 'text file with one label a line, for the classes of an output')
    .option(
      '--dim <name=size>',
      `sizes for the check of batches, such as H=224,W=224 (default: ${OPEN_SIZE} each)`,
      collectSizes,
    )
    .option('--overwrite', 'replace a folder of the same name that has a config.pbtxt')
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .action((model: string, options: ExportTritonOptions) => {
      requireOptions(command);
      return exportTriton(model, options, cli);
    });
  pointToHelp(command);
}

const DEFAULT_BATCH = 8;

/** Names the model's folder, and stands in URLs. */
export function parseName(text: string): string {
  if (/^[A-Za-z0-9][\w.-]*$/.test(text)) return text;
  throw new InvalidArgumentError(
    'It must begin with a letter or digit, and have only letters, digits, _, - and . in it.',
  );
}

function parseBatchSize(text: string): number {
  const value = parseInteger(text);
  if (value >= 0) return value;
  throw new InvalidArgumentError('It must be at least 0.');
}

/** Returns the name for a file: what {@link parseName} takes, with `_` for all else. */
export const nameOf = (path: string): string =>
  basename(path, extname(path))
    .replace(/[^\w.-]/g, '_')
    .replace(/^[^A-Za-z0-9]+/, '') || 'model';

async function exportTriton(path: string, options: ExportTritonOptions, { io }: Cli): Promise<void> {
  const { output, name = nameOf(path), limit: limits, instances, device, maxQueueDelay } = options;
  const folder = join(output, name);
  const configPath = join(folder, 'config.pbtxt');
  if (!options.overwrite && (await exists(configPath)))
    throw new UsageError(
      `${configPath} exists, and may have been edited: --overwrite replaces it, --name gives another folder`,
    );
  const lines = await withProgress(io.stderr, async (progress) => {
    progress.step(`converting ${path}`);
    const bytes = await readModelFile(path);
    const lowering = getSessionLowering(options.lowering, MAX_OPSET).name;
    const converted = convertModel(bytes, { lowering, where: path, limits });
    // A model with files beside it is a folder of the name model.onnx to Triton.
    const isFolder = converted.externalData.length > 0;
    const modelPath = join(folder, '1', 'model.onnx', ...(isFolder ? ['model.onnx'] : []));
    const { files, data } = await planFiles(
      path,
      { output: modelPath, limit: limits },
      bytes,
      converted.bytes,
    );
    progress.step(`loading ${path}`);
    const { inputs, outputs, batch, sizes } = await withSession(
      createSessionBeside(converted.bytes, path, { limits }),
      (session) => examine(session, options, progress),
    );
    const labels = await readLabels(options.labels, outputs, batch.size);
    const isOptimized =
      wrongOptimizers(Model.decode(converted.bytes, path, requireLimits('export-triton', limits))).length ===
      0;
    const config: TritonModel = {
      ...{ name, inputs, outputs, maxBatchSize: batch.size, maxQueueDelay, instances, device, isOptimized },
      ...(labels && { labels: { file: 'labels.txt', output: labels.output } }),
    };
    const [, ...rest] = describeConversion({ path, output: modelPath, converted, data });
    const notes = [...rest, `max_batch_size ${batch.size}: ${batch.reason}`];
    progress.step(`writing ${folder}`);
    const readme = join(folder, 'README.md');
    await refuseOverwritingInputs(
      [
        ['-o', modelPath],
        ['-o', configPath],
        ['-o', readme],
        ['-o', join(folder, 'labels.txt')],
      ],
      [
        ['the model', path],
        ['the file of --labels', options.labels],
      ],
    );
    await writeFilesAtomic([
      ...files,
      ...(labels ? [{ path: join(folder, 'labels.txt'), content: labels.text }] : []),
      { path: readme, content: tritonReadme({ config, sizes, notes }) },
      { path: configPath, content: tritonConfig(config) },
    ]);
    return [
      `Wrote ${folder}: config.pbtxt, README.md${labels ? ', labels.txt' : ''} and ${modelPath.slice(folder.length + 1)}`,
      ...notes,
      ...(isOptimized
        ? []
        : [
            "ONNX Runtime's optimizations are off in config.pbtxt: its Pad_Fusion would change the results of this model",
          ]),
      `Start Triton: the commands are in ${readme}`,
    ];
  });
  print(io.stdout, ...lines.map(printable));
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** What the configuration needs to know of a model. */
interface Examined {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly batch: { readonly size: number; readonly reason: string };
  readonly sizes: ReadonlyMap<string, number>;
}

async function examine(
  session: Session,
  options: ExportTritonOptions,
  progress: Progress,
): Promise<Examined> {
  const { outputs } = session;
  // Triton's backend does not pass on values for initializers.
  const inputs = session.inputs.filter(({ optional }) => optional !== true);
  for (const { name, dtype, shape } of [...inputs, ...outputs]) {
    if (dtype === undefined)
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        `'${name}' is a sequence, a map or an optional value: Triton passes tensors only`,
      );
    if (shape === undefined)
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        `the model does not declare the rank of '${name}', and config.pbtxt needs it: declare its shape`,
      );
  }
  const sizes = openSizes(inputs, options.dim);
  const unknown = [...(options.dim ?? new Map<string, number>()).keys()].find((name) => !sizes.has(name));
  if (unknown !== undefined)
    throw new UsageError(
      `--dim ${unknown}: no input leaves a dimension of this name open${sizes.size > 0 ? `; the names are ${[...sizes.keys()].join(', ')}` : ''}, and the first is the batch`,
    );
  return { inputs, outputs, sizes, batch: await chooseBatch(session, sizes, options, progress) };
}

async function chooseBatch(
  session: Session,
  sizes: ReadonlyMap<string, number>,
  { maxBatchSize }: ExportTritonOptions,
  progress: Progress,
): Promise<Examined['batch']> {
  if (maxBatchSize === 0)
    return { size: 0, reason: 'as --max-batch-size says; requests have the full shapes' };
  const declared = whyNotBatchable(session);
  progress.step('running a batch, and its samples alone');
  const used = [...sizes].map(([name, size]) => `${name}=${size}`).join(', ');
  const reason = declared ?? (await runBatches(session, sizes, used));
  if (reason === undefined)
    return {
      size: maxBatchSize ?? DEFAULT_BATCH,
      reason: `each of 3 random samples has the same answer alone and in a batch${used && ` (with ${used})`}`,
    };
  if (maxBatchSize === undefined) return { size: 0, reason };
  throw new UsageError(
    `--max-batch-size ${maxBatchSize}: ${reason}; use --max-batch-size 0 for a model without batches`,
  );
}

async function runBatches(
  session: Session,
  sizes: ReadonlyMap<string, number>,
  used: string,
): Promise<string | undefined> {
  try {
    return await findBatchDependence(session, sizes);
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    return `a batch of 3 does not run${used && ` with ${used} (--dim gives other sizes)`}: ${error.message}`;
  }
}

/** Reads a file of labels, and finds the output with as many classes. */
async function readLabels(
  path: string | undefined,
  outputs: readonly TensorInfo[],
  maxBatchSize: number,
): Promise<{ readonly text: string; readonly output: string } | undefined> {
  if (path === undefined) return undefined;
  const text = new TextDecoder().decode(await readFileBytes(path));
  const count = text.replace(/\r?\n$/, '').split('\n').length;
  const output = outputs.find(({ shape }) => shape!.slice(maxBatchSize > 0 ? 1 : 0).includes(count));
  if (output) return { text, output: output.name };
  throw new UsageError(`--labels: ${path} has ${count} lines, and no output has a dimension of ${count}`);
}

const DESCRIPTION =
  'Writes a model so that NVIDIA Triton Inference Server runs it with its ONNX Runtime backend: REPOSITORY/NAME with ' +
  'config.pbtxt, 1/model.onnx and a README of three commands. The ONNX Runtime of Triton has no kernel for ' +
  'GroupNormalization, and its own definition loses digits. So export-triton writes GroupNorm as reduce-mean, or as ' +
  '--lowering says.\n\n' +
  'max_batch_size is above 0 only if the model can be batched: the first dimension of every input and output must be open, ' +
  'and a run of three random samples must give the same answers as three runs of one. Otherwise it is 0, and the output ' +
  'says why.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ npx onnx-groupnorm export-triton gn.onnx -o models
  $ npx onnx-groupnorm export-triton gn.onnx -o models --name norm --max-batch-size 16 --max-queue-delay 0.5
  $ npx onnx-groupnorm export-triton gn.onnx -o models --name cpu --device cpu --instances 2 --dim H=224,W=224

Exit codes: 0 written; 2 bad usage or bad input, and nothing is written.`;
