/** `parity`: compares models with what PyTorch computed. */
import { type Command, Option } from 'commander';
import { writeFileAtomic } from '../../../files/atomic.js';
import { DEFAULT_OPSET } from '../../../lowering/choose.js';
import { LOWERING_NAMES } from '../../../lowering/types.js';
import { makeReport, type Report, reportToJson } from '../../../parity/report.js';
import { type Provider, PROVIDERS } from '../../../runtime/core/contract.js';
import {
  availableProviders,
  groupNormOption,
  layoutOption,
  limitOption,
  parseIntegers,
  parseTolerance,
  pointToHelp,
} from '../../shared/options.js';
import { refuseOverwritingInputs, requireWritableOutputs } from '../../shared/output-files.js';
import { withProgress } from '../../shared/progress.js';
import { type Cli, colorsOf, EXIT, print, UsageError, widthOf } from '../../shared/terminal.js';
import { filesOf, findSources, type ParitySource, planCases, type PlanOptions, runCases } from './cases.js';
import { describeReport, reportToJunit } from './report.js';

interface ParityOptions extends PlanOptions {
  readonly provider: string;
  readonly json?: string;
  readonly junit?: string;
}

export function addParity(program: Command, cli: Cli): void {
  const command = program
    .command('parity')
    .summary('compare models with what PyTorch computed')
    .description(DESCRIPTION)
    .argument(
      '<fixtures...>',
      '.safetensors fixtures, or folders to search for fixtures and for model.onnx files with test_data_set_* folders',
    )
    .option(
      '--lowering <names>',
      `how to write GroupNormalization: ${LOWERING_NAMES.join(', ')}, several (op,layer-norm), or all (default: as ` +
        'build does). For a model.onnx: how to run GroupNormalization (default: the choice of the session)',
    )
    .addOption(
      new Option('--opset <n>', 'opset of the models that are built, or several (17,21)')
        .argParser(parseIntegers)
        .default([DEFAULT_OPSET], String(DEFAULT_OPSET)),
    )
    .option(
      '--provider <names>',
      `execution provider: ${PROVIDERS.join(', ')}, several (cpu,wasm), or all that work on this machine`,
      'cpu',
    )
    .addOption(groupNormOption())
    .addOption(layoutOption())
    .option(
      '--rtol <r>',
      'relative tolerance of floats (default: that of the fixture, otherwise that of torch.testing.assert_close)',
      parseTolerance,
    )
    .option('--atol <a>', 'absolute tolerance of floats (default: as for --rtol)', parseTolerance)
    .addOption(limitOption())
    .option('--no-bisect', 'do not look for the layer at which the drift of a failed case begins')
    .option('--json <file>', 'write the report as JSON; - writes it to stdout, and the table to stderr')
    .option('--junit <file>', 'write the report as JUnit XML')
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], options: ParityOptions) =>
      parity(paths, options, command.getOptionValueSource('opset') === 'cli', cli),
    );
  pointToHelp(command);
}

async function parity(
  paths: string[],
  options: ParityOptions,
  isOpsetGiven: boolean,
  cli: Cli,
): Promise<void> {
  const { json, junit } = options;
  // Refuses unknown lowerings and opsets before the providers are loaded.
  planCases(options, []);
  if (junit === '-') throw new UsageError('--junit needs the path of a file; only --json takes - for stdout');
  await requireWritableOutputs([
    ['--json', json === '-' ? undefined : json],
    ['--junit', junit],
  ]);
  const { available, missing, isNamed } = await availableProviders(options.provider);
  // The cases of a named provider fail if the provider is missing. Those of `all` are left out.
  const absent = isNamed ? missing.map(({ provider }) => provider) : [];
  const providers: Provider[] = [...available, ...absent];
  const sources = await findSources(paths);
  await refuseOverwritingSources(options, sources);
  const { results, unreadable, stopped, ...remarks } = await withProgress(cli.io.stderr, (progress) =>
    runCases(providers.length > 0 ? sources : [], planCases(options, providers), progress, missing),
  );
  const isInterrupted = stopped !== undefined && remarks.notRun > 0;
  const report: Report = {
    ...makeReport(results),
    ...(missing.length > 0 && { notRun: missing }),
    ...(isInterrupted && { interrupted: remarks.notRun }),
  };
  const human = json === '-' ? cli.io.stderr : cli.io.stdout;
  const notes = notesOn(options, sources, isOpsetGiven);
  print(human, ...describeReport(report, colorsOf(human), { ...remarks, notes, width: widthOf(human) }));
  await writeReports(report, options, cli);
  if (isInterrupted) {
    print(cli.io.stderr, `interrupted${(json ?? junit) ? ': the report has the cases that ran' : ''}`);
    cli.exitCode = stopped;
    return;
  }
  cli.exitCode = unreadable > 0 ? EXIT.usage : report.failed > 0 ? EXIT.failed : EXIT.ok;
}

async function refuseOverwritingSources(
  { json, junit }: ParityOptions,
  sources: readonly ParitySource[],
): Promise<void> {
  const files: [string, string][] = [];
  for (const source of sources) {
    const name = source.isDataSet ? 'part of a data set' : 'a fixture';
    for (const file of await filesOf(source)) files.push([name, file]);
  }
  const outputs: [string, string | undefined][] = [
    ['--json', json],
    ['--junit', junit],
  ];
  await refuseOverwritingInputs(outputs, files);
}

/** Returns a line for each option that does not apply to existing models. */
function notesOn(
  { groupNorm, lowering }: ParityOptions,
  sources: readonly ParitySource[],
  isOpsetGiven: boolean,
): string[] {
  if (!sources.some(({ isDataSet }) => isDataSet)) return [];
  return [
    ...(isOpsetGiven ? ['--opset applies only to models that are built; a model.onnx keeps its opset'] : []),
    ...(groupNorm !== undefined && lowering !== undefined
      ? ['--lowering applies only to models that are built; a model.onnx runs with --group-norm']
      : []),
  ];
}

async function writeReports(report: Report, { json, junit }: ParityOptions, { io }: Cli): Promise<void> {
  if (json === '-') io.stdout.write(reportToJson(report));
  else if (json !== undefined) await writeFileAtomic(json, reportToJson(report));
  if (junit !== undefined) await writeFileAtomic(junit, reportToJunit(report));
}

const DESCRIPTION =
  'Builds the network that each fixture names, with the weights of the fixture, runs it on the inputs of the fixture, ' +
  "and compares every output with PyTorch's. A case passes if |actual − expected| ≤ atol + rtol·|expected| for every " +
  'element. If the fixture also has the result in float64, the table shows how far the model and PyTorch are from ' +
  'it.\n\n' +
  "To check a model of your own, use the layout of ONNX's tests: model.onnx, and beside it test_data_set_0, " +
  'test_data_set_1 and so on, with input_0.pb, output_0.pb and so on. Integers and booleans must be equal.\n\n' +
  'When a case fails, parity looks for the layer at which the drift begins. It compares the model with what the modules ' +
  'of PyTorch returned, if there is an activations.safetensors beside the model or in the data set (docs/compare.md has ' +
  'the program that writes that file), and otherwise with another provider.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn/model.onnx
  $ npx onnx-groupnorm run gn/model.onnx --random --dim N=1,H=64,W=64 --test-data gn/test_data_set_0
  $ npx onnx-groupnorm parity gn
  $ npx onnx-groupnorm parity gn --lowering all --provider all --rtol 1e-3
  $ npx onnx-groupnorm parity gn --json report.json --junit report.xml
  $ npx onnx-groupnorm parity gn --json - > report.json

This test has the outputs that this machine computed: it finds what changes with another version
or provider. docs/parity.md makes tests that have the outputs of PyTorch.

Examples with files of your own:
  $ npx onnx-groupnorm parity fixtures --lowering all --opset 17,21

Exit codes: 0 all cases passed; 1 a case failed or could not run, for example on a provider that does not
work here; 2 bad usage, or a file that is not a readable fixture or data set (all others still run). If
Ctrl+C (130), SIGTERM (143) or a closed terminal (129) stops parity, it prints and reports the cases that ran.`;
