/** `parity`: fixtures from PyTorch against the models that this library builds. */
import { Option, type Command } from 'commander';
import { writeFileAtomic } from '../files/atomic.js';
import {
  DEFAULT_OPSET,
  defaultLowering,
  getLowering,
  LOWERING_NAMES,
  loweringsAt,
  requireOpset,
  type SessionLoweringName,
} from '../lowering/index.js';
import { makeReport, reportToJson, type CheckSpec } from '../parity/index.js';
import type { Provider } from '../runtime/index.js';
import { parseIntegers, parseNames, parseTolerance } from './arguments.js';
import { EXIT } from './exit-codes.js';
import { groupNormOption } from './group-norm-option.js';
import { colorsOf, print, widthOf, type Cli } from './io.js';
import { runCases } from './parity-cases.js';
import { findFixtures } from './parity-files.js';
import { reportToJunit } from './parity-junit.js';
import { describeReport } from './parity-table.js';
import { availableProviders, providersOption } from './providers-option.js';
import { requireInputsKept } from './keep-inputs.js';
import { requireTargets } from './report-targets.js';
import { withProgress } from './progress.js';
import { UsageError } from './usage-error.js';

interface ParityOptions {
  readonly lowering?: string;
  readonly provider: string;
  readonly groupNorm?: SessionLoweringName;
  readonly opset: readonly number[];
  readonly rtol?: number;
  readonly atol?: number;
  readonly json?: string;
  readonly junit?: string;
}

export function addParity(program: Command, cli: Cli): void {
  program
    .command('parity')
    .summary('compare models with what PyTorch computed')
    .description(DESCRIPTION)
    .argument('<fixtures...>', '.safetensors fixtures, or folders that are searched for them')
    .option(
      '--lowering <names>',
      `${LOWERING_NAMES.join(', ')}, several of them (op,layer-norm), or all (default: what build would choose)`,
    )
    .addOption(
      new Option('--opset <n>', 'opset of the models, or several: 17,21')
        .argParser(parseIntegers)
        .default([DEFAULT_OPSET], String(DEFAULT_OPSET)),
    )
    .addOption(providersOption())
    .addOption(groupNormOption())
    .option(
      '--rtol <r>',
      "relative tolerance (default: the fixture's, else torch.testing.assert_close's)",
      parseTolerance,
    )
    .option('--atol <a>', 'absolute tolerance (default: likewise)', parseTolerance)
    .option('--json <file>', 'write the report as JSON; - for stdout, which moves the table to stderr')
    .option('--junit <file>', 'write the report as JUnit XML')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError("'onnx-groupnorm parity --help' explains what it takes")
    .action((paths: string[], options: ParityOptions) => parity(paths, options, cli));
}

async function parity(paths: string[], options: ParityOptions, cli: Cli): Promise<void> {
  const { json, junit } = options;
  planSpecs(options, []);
  if (junit === '-') throw new UsageError('--junit takes a file; only --json has - for stdout');
  await requireTargets({ '--json': json === '-' ? undefined : json, '--junit': junit });
  const { available, missing, asked } = await availableProviders(options.provider);
  // A provider that was named and is not there has failed; of all that there might be it has not.
  const absent = asked ? missing.map(({ provider }) => provider) : [];
  const specs = planSpecs(options, [...available, ...absent]);
  const files = await findFixtures(paths);
  await requireInputsKept(
    [
      ['--json', json],
      ['--junit', junit],
    ],
    files.map((file) => ['a fixture', file]),
  );
  const human = json === '-' ? cli.io.stderr : cli.io.stdout;
  const { results, unreadable, ...rest } = await withProgress(cli.io.stderr, (progress) =>
    runCases(specs.length > 0 ? files : [], specs, progress, missing),
  );
  const report = { ...makeReport(results), ...(missing.length > 0 && { notRun: missing }) };
  print(human, ...describeReport(report, colorsOf(human), { ...rest, width: widthOf(human) }));
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

/** Every way in which each fixture is to be run. */
function planSpecs(
  { lowering, opset: opsets, groupNorm, rtol, atol }: ParityOptions,
  providers: readonly Provider[],
): CheckSpec[] {
  return opsets.flatMap((opset) => {
    requireOpset(opset);
    const names = lowering === undefined ? [defaultLowering(opset)] : parseNames(lowering);
    const named = () => names.map((one) => getLowering(one, opset).name);
    const lowerings = names.includes('all') ? loweringsAt(opset) : named();
    return lowerings.flatMap((one) =>
      providers.map((provider) => ({ lowering: one, opset, provider, groupNorm, rtol, atol })),
    );
  });
}

const DESCRIPTION =
  "Builds the network that each fixture names, with the fixture's weights, runs it on the fixture's inputs, and " +
  "compares every output with PyTorch's. A case passes if |actual − expected| ≤ atol + rtol·|expected| for every " +
  'element. Where a fixture has the result in float64, the table also says how far the model and PyTorch are ' +
  'from it.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm parity test/fixtures/group-norm
  $ onnx-groupnorm parity test/fixtures/group-norm --lowering all --opset 17,21
  $ onnx-groupnorm parity test/fixtures/group-norm --provider all
  $ onnx-groupnorm parity test/fixtures/group-norm --json report.json --junit report.xml
  $ onnx-groupnorm parity test/fixtures/group-norm --json - > report.json

Exit codes: 0 all cases passed; 1 a case failed or could not run, as on a provider that was named and cannot
be used here; 2 bad usage, or a file that cannot be read or is no fixture: the others are run all the same;
130 stopped by Ctrl+C, after what has been found.`;
