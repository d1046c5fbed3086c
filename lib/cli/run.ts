/** `run`: a model on inputs from `.npy` files or random numbers. */
import type { Command } from 'commander';
import type { LoweringName } from '../lowering/index.js';
import { createSession, PROVIDERS, type Session, type TensorRecord } from '../runtime/index.js';
import { formatShape } from '../tensor.js';
import { collectPair, collectSizes, parseCount, parseInteger } from './arguments.js';
import { formatDuration, formatTable, indent } from './format.js';
import { groupNormOption } from './group-norm-option.js';
import { print, type Cli, type Io } from './io.js';
import { withProgress, type Progress } from './progress.js';
import { loadInputs, type InputRequest } from './run-inputs.js';
import { summarize, writeOutputs } from './run-outputs.js';

interface RunOptions extends InputRequest {
  readonly output?: string;
  readonly repeat: number;
  readonly provider: string;
  readonly groupNorm?: LoweringName;
}

interface RunResult {
  readonly session: Session;
  readonly notes: readonly string[];
  readonly outputs: TensorRecord;
  /** Milliseconds of each run. */
  readonly times: readonly number[];
  readonly files: ReadonlyMap<string, string>;
}

export function addRun(program: Command, cli: Cli): void {
  program
    .command('run')
    .summary('run an ONNX model on .npy files or random numbers')
    .description(DESCRIPTION)
    .argument('<model>', 'the .onnx file')
    .option('--input <name=file>', 'NAME=FILE.npy or NAME=random; once for each input', collectPair)
    .option('--output <dir>', 'folder for the outputs, one .npy file each (default: print a summary only)')
    .option(
      '--dim <name=size>',
      'sizes for the names in the shapes of random inputs, such as N=1,H=64',
      collectSizes,
    )
    .option('--seed <n>', 'seed of random inputs', parseInteger, 0)
    .option('--repeat <n>', 'run so many times and report the fastest and the median', parseCount, 1)
    .option('--provider <name>', `execution provider: ${PROVIDERS.join(', ')}`, 'cpu')
    .addOption(groupNormOption())
    .addHelpText('after', EXAMPLES)
    .action((model: string, options: RunOptions) => run(model, options, cli.io));
}

async function run(path: string, options: RunOptions, io: Io): Promise<void> {
  const result = await withProgress(io.stderr, async (progress): Promise<RunResult> => {
    progress.step(`loading ${path}`);
    const session = await createSession(path, {
      providers: [options.provider],
      groupNorm: options.groupNorm,
    });
    try {
      const { feeds, notes } = await loadInputs(session.inputs, options);
      const { outputs, times } = await runRepeatedly(session, feeds, options.repeat, progress);
      const files = await writeOutputs(outputs, options.output);
      return { session, notes, outputs, times, files };
    } finally {
      await session.dispose();
    }
  });
  print(io.stdout, ...describe(path, options, result));
}

async function runRepeatedly(session: Session, feeds: TensorRecord, repeat: number, progress: Progress) {
  const times: number[] = [];
  let outputs: TensorRecord = {};
  while (times.length < repeat) {
    progress.step(`run ${times.length + 1} of ${repeat}`);
    const start = performance.now();
    outputs = await session.run(feeds);
    times.push(performance.now() - start);
  }
  return { outputs, times };
}

function describe(
  path: string,
  { output }: RunOptions,
  { session, notes, outputs, times, files }: RunResult,
): string[] {
  const rows = Object.entries(outputs).map(([name, value]) => [
    name,
    value.dtype,
    formatShape(value.dims),
    ...summarize(value),
    files.get(name) ?? '',
  ]);
  const head = ['output', 'dtype', 'shape', 'min', 'max', 'mean', output === undefined ? '' : 'file'];
  const rewritten = session.groupNorm ? `, GroupNormalization as ${session.groupNorm}` : '';
  return [
    `${path} on ${session.provider}${rewritten}: ${describeTimes(times)}`,
    ...notes.map((note) => `  ${note}`),
    '',
    indent(formatTable(rows, head)),
  ];
}

function describeTimes(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const [fastest = 0] = sorted;
  if (sorted.length === 1) return formatDuration(fastest);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return `${sorted.length} runs, fastest ${formatDuration(fastest)}, median ${formatDuration(median)}`;
}

const DESCRIPTION =
  'Runs an ONNX model through ONNX Runtime and says what came out and how long it took. Inputs are .npy files, as ' +
  'numpy.save writes them, or random numbers from a standard normal distribution.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm run gn.onnx --input x=random --dim N=1,H=64,W=64
  $ onnx-groupnorm run gn.onnx --input x=random --dim N=1,H=64,W=64 --output out --repeat 20
  $ onnx-groupnorm run gn.onnx --input x=x.npy --output out

Exit codes: 0 the model ran; 2 bad usage, a file that cannot be read, or inputs that do not fit.`;
