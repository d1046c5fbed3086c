/** `compare`: finds where two models, or two ways to run a model, begin to differ. */
import { type Command, Option } from 'commander';
import { writeFilesAtomic } from '../../../files/atomic.js';
import type { ModelToCompare } from '../../../insight/compare/compare-models.js';
import type { ModelComparison } from '../../../insight/compare/comparison.js';
import { compareModels } from '../../../insight/node.js';
import type { Limits } from '../../../limits.js';
import { getSessionLowering, MAX_OPSET } from '../../../lowering/choose.js';
import { SESSION_LOWERING_NAMES, type SessionLoweringName } from '../../../lowering/types.js';
import { printableJson } from '../../../printable.js';
import {
  type Feeds,
  PROVIDERS,
  type Provider,
  type SessionOptions,
  type TensorInfo,
} from '../../../runtime/core/contract.js';
import { requireProviders } from '../../../runtime/core/providers.js';
import { chosenLowering, GROUP_NORM_CHOICES } from '../../../runtime/model/group-norm-policy.js';
import {
  availableProviders,
  limitOption,
  parseCount,
  parseNames,
  parseTolerance,
  pointToHelp,
} from '../../shared/options.js';
import { refuseOverwritingInputs, requireWritableOutputs } from '../../shared/output-files.js';
import { type Progress, withProgress } from '../../shared/progress.js';
import { type Cli, colorsOf, EXIT, print, UsageError, widthOf } from '../../shared/terminal.js';
import { comparisonsToHtml } from './html.js';
import { comparisonsToJunit } from './junit.js';
import { describeComparison } from './report.js';
import { addTorchOptions, compareTorch, mapFiles, requireTorchOptions, type TorchOptions } from './torch.js';
import { addInputOptions, type InputOptions, inputSources, loadInputs } from '../run/inputs.js';

interface CompareCommandOptions extends InputOptions, TorchOptions {
  readonly provider: string;
  readonly groupNorm?: readonly (SessionLoweringName | undefined)[];
  readonly rtol?: number;
  readonly atol?: number;
  /** MiB. */
  readonly memory: number;
  readonly json?: string;
  readonly junit?: string;
  readonly html?: string;
  readonly limit?: Partial<Limits>;
}

export function addCompare(program: Command, cli: Cli): void {
  const command = program
    .command('compare')
    .summary('find where two models, or two ways to run a model, begin to differ')
    .description(DESCRIPTION)
    .usage('MODEL [OTHER] [options]')
    .argument('<models...>', 'ONNX file, or two: the second is compared with the first')
    .option(
      '--provider <names>',
      `execution providers to compare, the first with each of the others: ${PROVIDERS.join(', ')}; or all that work on this ` +
        'machine. If the list has native and cpu, cpu is ONNX Runtime without the native kernel. With two models: the one ' +
        'provider that runs both',
      'cpu',
    )
    .addOption(
      new Option(
        '--group-norm <names>',
        `ways to run GroupNormalization, the first compared with each of the others: ${SESSION_LOWERING_NAMES.join(', ')}; or ` +
          'default, as a session runs it by itself',
      ).argParser(parseGroupNorms),
    );
  addInputOptions(addTorchOptions(command))
    .option(
      '--rtol <r>',
      'relative tolerance of floats (default: that of torch.testing.assert_close for the dtype)',
      parseTolerance,
    )
    .option('--atol <a>', 'absolute tolerance of floats (default: as for --rtol)', parseTolerance)
    .option(
      '--memory <mib>',
      'MiB of values to hold at once; compare runs the models as often as that takes',
      parseCount,
      512,
    )
    .option('--json <file>', 'write everything as JSON; - writes it to stdout, and the tables to stderr')
    .option('--junit <file>', 'write a test case for each value as JUnit XML')
    .option('--html <file>', 'write one page with charts of the error, and heat maps of the worst values')
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .action((models: string[], options: CompareCommandOptions) => compare(models, options, cli));
  pointToHelp(command);
}

/** Parses `default,op` and removes repeats; `undefined` stands for the default. */
const parseGroupNorms = (text: string): (SessionLoweringName | undefined)[] =>
  parseNames(text).map((name) => (name === 'default' ? undefined : getSessionLowering(name, MAX_OPSET).name));

/** The values whose heat maps are on the page. */
const HEAT_MAPS = 6;

async function compare(models: string[], options: CompareCommandOptions, cli: Cli): Promise<void> {
  const { json, junit, html, rtol, atol, memory, torch } = options;
  requireTorchOptions(options);
  for (const [option, file] of Object.entries({ '--junit': junit, '--html': html }))
    if (file === '-')
      throw new UsageError(`${option} needs the path of a file; only --json takes - for stdout`);
  const outputs: [string, string | undefined][] = [
    ['--json', json === '-' ? undefined : json],
    ['--junit', junit],
    ['--html', html],
  ];
  await requireWritableOutputs(outputs);
  await refuseOverwritingInputs(outputs, [
    ...models.map((path): [string, string] => ['a model', path]),
    ...(torch === undefined ? [] : [['--torch', torch] as [string, string]]),
    ...mapFiles(options).map((path): [string, string] => ['--map', path]),
  ]);
  const sides = await sidesOf(models, options);
  const heatMaps = html === undefined ? 0 : HEAT_MAPS;
  const shared = { rtol, atol, maxBytes: memory * 2 ** 20, heatMaps };
  if (torch !== undefined) {
    const comparison = await withProgress(cli.io.stderr, (progress) => {
      const onProgress = (task: string) => progress.step(task);
      return compareTorch(sides, { ...options, torch }, { ...shared, onProgress });
    });
    return await report([comparison], [], options, cli);
  }
  const [expected, ...others] = sides;
  if (others.length === 0) throw new UsageError(ONE_SIDE);
  const inputNotes: string[] = [];
  const comparisons = await withProgress(cli.io.stderr, async (progress) => {
    const feeds = once((inputs: readonly TensorInfo[]) =>
      feedsOf(inputs, options, outputs, inputNotes, progress),
    );
    const results: ModelComparison[] = [];
    for (const actual of others) {
      const onProgress = (task: string) =>
        progress.step(others.length > 1 ? `${actual.label} against ${expected.label}: ${task}` : task);
      results.push(await compareModels(expected, actual, { ...shared, feeds, onProgress }));
    }
    return results;
  });
  await report(comparisons, inputNotes, options, cli);
}

/** What `--json` writes. */
export interface CompareReport {
  /** Whether every comparison passed. */
  readonly passed: boolean;
  /** One comparison for each side that the first is compared with. */
  readonly comparisons: readonly ModelComparison[];
}

/** Prints and writes the results, and sets the exit code. */
async function report(
  comparisons: readonly ModelComparison[],
  inputNotes: readonly string[],
  { json, junit, html }: Pick<CompareCommandOptions, 'json' | 'junit' | 'html'>,
  cli: Cli,
): Promise<void> {
  const { io } = cli;
  const passed = comparisons.every((one) => one.passed);
  const human = json === '-' ? io.stderr : io.stdout;
  const lines = comparisons.flatMap((one, index) => [
    ...(index > 0 ? [''] : []),
    ...describeComparison(one, colorsOf(human), widthOf(human)),
  ]);
  print(human, ...inputNotes, ...lines);
  // Heat maps are for the page: thousands of numbers.
  const withoutMaps = comparisons.map((one) => ({ ...one, heatMaps: [] }));
  const text = `${printableJson({ passed, comparisons: withoutMaps } satisfies CompareReport)}\n`;
  if (json === '-') io.stdout.write(text);
  await writeFilesAtomic([
    ...(json !== undefined && json !== '-' ? [{ path: json, content: text }] : []),
    ...(junit === undefined ? [] : [{ path: junit, content: comparisonsToJunit(comparisons) }]),
    ...(html === undefined ? [] : [{ path: html, content: comparisonsToHtml(comparisons) }]),
  ]);
  cli.exitCode = passed ? EXIT.ok : EXIT.failed;
}

/**
 * Returns the sides, of which the first is the expected one: two models, several providers, or several ways to run
 * GroupNormalization.
 */
async function sidesOf(
  models: readonly string[],
  options: CompareCommandOptions,
): Promise<[Side, ...Side[]]> {
  const { groupNorm: groupNorms = [undefined], limit } = options;
  if (models.length > 2) {
    throw new UsageError(
      `compare takes one model or two, but there is a third argument '${models[2]}'; remove it`,
    );
  }
  const providers = await providersOf(options.provider);
  const varied = Object.entries({ 'two models': models, '--provider': providers, '--group-norm': groupNorms })
    .filter(([, choices]) => choices.length > 1)
    .map(([name]) => name);
  if (varied.length > 1) {
    throw new UsageError(
      `${varied.join(' and ')} cannot be compared at once, for a difference would have two causes; give one value to all but ` +
        'one of them',
    );
  }
  const sides = models.flatMap((model) =>
    providers.flatMap((provider) =>
      groupNorms.map((groupNorm): Side => {
        const label = models.length > 1 ? model : providers.length > 1 ? provider : (groupNorm ?? 'default');
        const isPlain = provider === 'cpu' && providers.includes('native');
        const own = groupNorm ?? (isPlain ? chosenLowering(GROUP_NORM_CHOICES.cpu) : undefined);
        return {
          model,
          label,
          session: { providers: [provider], strict: true, groupNorm: own, limits: limit },
        };
      }),
    ),
  );
  return sides as [Side, ...Side[]];
}

interface Side extends ModelToCompare {
  readonly model: string;
  readonly label: string;
  readonly session: SessionOptions;
}

const ONE_SIDE =
  'compare needs two sides: a second model, several providers (--provider native,wasm), several ways to run ' +
  'GroupNormalization (--group-norm default,op), or what PyTorch computed (--torch activations.safetensors)';

/** Returns the named providers; for `all`, those that work here. */
async function providersOf(text: string): Promise<readonly Provider[]> {
  const { available, isNamed } = await availableProviders(text);
  return isNamed ? requireProviders(parseNames(text)) : available;
}

/** Reads or makes the inputs, and refuses to write a report over a file of them. */
async function feedsOf(
  inputs: readonly TensorInfo[],
  options: InputOptions,
  outputs: [string, string | undefined][],
  notes: string[],
  progress: Progress,
): Promise<Feeds> {
  const input = inputSources(options, inputs);
  await refuseOverwritingInputs(
    outputs,
    [...input].map(([name, file]) => [`input '${name}'`, file]),
  );
  const loaded = await loadInputs(inputs, { ...options, input }, progress);
  notes.push(...loaded.notes);
  return loaded.feeds;
}

/** Returns a function that calls another at the first call only. */
function once<Argument, Result>(action: (argument: Argument) => Result): (argument: Argument) => Result {
  let result: { readonly value: Result } | undefined;
  return (argument) => (result ??= { value: action(argument) }).value;
}

const DESCRIPTION =
  'Runs two models, or one model in two ways, on the same inputs, and compares every value inside of them that both ' +
  'compute. compare pairs values by their names: a rewritten copy of a model keeps the names of the values that the ' +
  'rewriting left. It prints the first value, in the order of the graph, that is beyond the tolerance: the node that ' +
  'made it, its PyTorch module, and the worst element with its index. Then it prints how the error grows with depth.\n\n' +
  'A value is within the tolerance if |actual − expected| ≤ atol + rtol·|expected| for every element. Integers and ' +
  'booleans must be equal. compare reports values that have NaN or infinities on both sides, that differ in shape, or ' +
  'that one side lacks, and does not count them as equal. The values inside of a GroupNorm that a session merges, or fuses with its activation, are ' +
  'not compared, nor are those in the bodies of If, Loop and Scan.\n\n' +
  'With --torch, the expected side is PyTorch: what each of its modules returned. The names that exporters leave in a model ' +
  'say which values hold that.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ npx onnx-groupnorm compare gn.onnx --provider cpu,wasm --random --dim N=1,H=64,W=64
  $ npx onnx-groupnorm compare gn.onnx --group-norm reduce-mean,op --random --dim N=1,H=64,W=64
  $ npx onnx-groupnorm convert gn.onnx -o portable.onnx
  $ npx onnx-groupnorm run gn.onnx --random --dim N=1,H=64,W=64 --output out
  $ npx onnx-groupnorm compare gn.onnx portable.onnx --input x=out/y.npy --html out.html --json out.json
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 --dtype float16 -o gn-16.onnx
  $ npx onnx-groupnorm compare gn.onnx gn-16.onnx --random --dim N=1,H=64,W=64 --rtol 1e-2 --atol 1e-3

Examples with files of your own:
  $ npx onnx-groupnorm compare model.onnx --torch activations.safetensors

The first side is the expected one. In a deep network, rounding alone may go beyond the default
tolerance, which is that of one operator: look for the value at which the error jumps, or give --rtol
1e-3 --atol 1e-4.

Exit codes: 0 nothing drifts, and all outputs are compared and finite; 1 a value drifts, or an output is not
compared or not finite; 2 bad usage or bad input.`;
