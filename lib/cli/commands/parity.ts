/** `parity`: fixtures from PyTorch against the models that this library builds. */
import { type Command, Option } from 'commander';
import { writeFileAtomic } from '../../files/atomic.js';
import { DEFAULT_OPSET } from '../../lowering/choose.js';
import { LOWERING_NAMES } from '../../lowering/types.js';
import { makeReport, reportToJson } from '../../parity/report.js';
import {
  availableProviders,
  groupNormOption,
  parseIntegers,
  parseTolerance,
  providersOption,
} from '../shared/options.js';
import { requireInputsKept } from '../shared/overwrite-guard.js';
import { withProgress } from '../shared/progress.js';
import { type Cli, colorsOf, EXIT, print, UsageError, widthOf } from '../shared/terminal.js';
import {
  filesOf,
  findSources,
  type ParitySource,
  planCases,
  type PlanOptions,
  runCases,
} from './parity-plan.js';
import { describeReport, reportToJunit, requireTargets } from './parity-report.js';

interface ParityOptions extends PlanOptions {
  readonly provider: string;
  readonly json?: string;
  readonly junit?: string;
}

export function addParity(program: Command, cli: Cli): void {
  program
    .command('parity')
    .summary('compare models with what PyTorch computed')
    .description(DESCRIPTION)
    .argument(
      '<fixtures...>',
      '.safetensors fixtures, or folders that are searched for them and for a model.onnx with test_data_set_* folders',
    )
    .option(
      '--lowering <names>',
      `${LOWERING_NAMES.join(', ')}, several of them (op,layer-norm), or all (default: what build would choose). ` +
        'For a model.onnx: how its session is asked to run GroupNormalization (default: as it does by itself)',
    )
    .addOption(
      new Option('--opset <n>', 'opset of the models that are built, or several: 17,21')
        .argParser(parseIntegers)
        .default([DEFAULT_OPSET], String(DEFAULT_OPSET)),
    )
    .addOption(providersOption())
    .addOption(groupNormOption())
    .option(
      '--rtol <r>',
      "relative tolerance of floats (default: the fixture's, else torch.testing.assert_close's)",
      parseTolerance,
    )
    .option('--atol <a>', 'absolute tolerance of floats (default: likewise)', parseTolerance)
    .option('--json <file>', 'write the report as JSON; - for stdout, which moves the table to stderr')
    .option('--junit <file>', 'write the report as JUnit XML')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError("'onnx-groupnorm parity --help' explains what it takes")
    .action((paths: string[], options: ParityOptions, command: Command) =>
      parity(paths, options, command.getOptionValueSource('opset') === 'cli', cli),
    );
}

async function parity(
  paths: string[],
  options: ParityOptions,
  isOpsetGiven: boolean,
  cli: Cli,
): Promise<void> {
  const { json, junit } = options;
  planCases(options, []);
  if (junit === '-') throw new UsageError('--junit takes a file; only --json has - for stdout');
  await requireTargets({ '--json': json === '-' ? undefined : json, '--junit': junit });
  const { available, missing, asked } = await availableProviders(options.provider);
  // A provider that was named and is not there has failed; of all that there might be it has not.
  const absent = asked ? missing.map(({ provider }) => provider) : [];
  const providers = [...available, ...absent];
  const sources = await findSources(paths);
  await requireSourcesKept(options, sources);
  const human = json === '-' ? cli.io.stderr : cli.io.stdout;
  const { results, unreadable, ...rest } = await withProgress(cli.io.stderr, (progress) =>
    runCases(providers.length > 0 ? sources : [], planCases(options, providers), progress, missing),
  );
  const report = { ...makeReport(results), ...(missing.length > 0 && { notRun: missing }) };
  const hasModels = sources.some(({ isDataSet }) => isDataSet);
  const notes = [
    ...(hasModels && isOpsetGiven ? [OWN_OPSET] : []),
    ...(hasModels && options.groupNorm !== undefined && options.lowering !== undefined ? [ONE_WAY] : []),
  ];
  print(human, ...describeReport(report, colorsOf(human), { ...rest, notes, width: widthOf(human) }));
  if (rest.notRun > 0) {
    print(cli.io.stderr, `interrupted${(json ?? junit) ? ': no report is written' : ''}`);
    cli.exitCode = EXIT.interrupted;
    return;
  }
  if (json === '-') cli.io.stdout.write(reportToJson(report));
  else if (json !== undefined) await writeFileAtomic(json, reportToJson(report));
  if (junit !== undefined) await writeFileAtomic(junit, reportToJunit(report));
  cli.exitCode = unreadable > 0 ? EXIT.usage : report.failed > 0 ? EXIT.failed : EXIT.ok;
}

async function requireSourcesKept(
  { json, junit }: ParityOptions,
  sources: readonly ParitySource[],
): Promise<void> {
  const files: [string, string][] = [];
  for (const source of sources) {
    const name = source.isDataSet ? 'part of a data set' : 'a fixture';
    for (const file of await filesOf(source)) files.push([name, file]);
  }
  await requireInputsKept(
    [
      ['--json', json],
      ['--junit', junit],
    ],
    files,
  );
}

const ONE_WAY =
  '--lowering is for models that are built where --group-norm is given: a model.onnx is run in that way alone';
const OWN_OPSET = '--opset is for models that are built: a model.onnx is run at its own opset';

const DESCRIPTION =
  "Builds the network that each fixture names, with the fixture's weights, runs it on the fixture's inputs, and " +
  "compares every output with PyTorch's. A case passes if |actual − expected| ≤ atol + rtol·|expected| for every " +
  'element. Where a fixture has the result in float64, the table also says how far the model and PyTorch are ' +
  "from it. A model of your own is checked with ONNX's test data: model.onnx, and beside it test_data_set_0, " +
  'test_data_set_1 and so on with input_0.pb, output_0.pb and so on; integers and bools must be equal.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm parity test/fixtures/group-norm
  $ onnx-groupnorm parity test/fixtures/group-norm --lowering all --opset 17,21
  $ onnx-groupnorm parity test/fixtures/group-norm --provider all
  $ onnx-groupnorm parity test/fixtures/group-norm --json report.json --junit report.xml
  $ onnx-groupnorm parity test/fixtures/group-norm --json - > report.json
  $ onnx-groupnorm parity test/samples/test-data --lowering all --rtol 1e-3

Exit codes: 0 all cases passed; 1 a case failed or could not run, as on a provider that was named and cannot
be used here; 2 bad usage, or a file that cannot be read, is not a fixture or not part of a data set: the
others are run all the same; 130 stopped by Ctrl+C, after what has been found.`;
