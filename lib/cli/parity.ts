/** `parity`: fixtures from PyTorch against the models that this library builds. */
import { Option, type Command } from 'commander';
import { getGraph } from '../../graphs/registry.js';
import { OnnxGroupNormError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import {
  DEFAULT_OPSET,
  defaultLowering,
  getLowering,
  LOWERING_NAMES,
  loweringsAt,
  requireOpset,
  type LoweringName,
} from '../lowering/index.js';
import {
  checkFixture,
  defaultTolerance,
  makeReport,
  readFixture,
  reportToJson,
  type BuildGraph,
  type CaseResult,
  type CheckSpec,
  type Fixture,
} from '../parity/index.js';
import { PROVIDERS } from '../runtime/index.js';
import { requireProvider } from '../runtime/providers.js';
import { parseIntegers, parseTolerance } from './arguments.js';
import { EXIT } from './exit-codes.js';
import { groupNormOption } from './group-norm-option.js';
import { colorsOf, print, type Cli } from './io.js';
import { findFixtures } from './parity-files.js';
import { reportToJunit } from './parity-junit.js';
import { describeReport } from './parity-table.js';
import { requireTargets } from './report-targets.js';
import { withProgress } from './progress.js';

interface ParityOptions {
  readonly lowering?: string;
  readonly provider: string;
  readonly groupNorm?: LoweringName;
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
    .option('--lowering <name>', `${LOWERING_NAMES.join(', ')}, or all (default: what build would choose)`)
    .addOption(
      new Option('--opset <n>', 'opset of the models, or several: 17,21')
        .argParser(parseIntegers)
        .default([DEFAULT_OPSET], String(DEFAULT_OPSET)),
    )
    .option('--provider <name>', `execution provider: ${PROVIDERS.join(', ')}`, 'cpu')
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
  const specs = planSpecs(options);
  await requireTargets({ '--json': json === '-' ? undefined : json, '--junit': junit });
  const files = await findFixtures(paths);
  const human = json === '-' ? cli.io.stderr : cli.io.stdout;
  const { results, unreadable, loose } = await checkAll(files, specs, cli);
  const report = makeReport(results);
  print(human, ...describeReport(report, colorsOf(human), loose));
  if (json === '-') cli.io.stdout.write(reportToJson(report));
  else if (json !== undefined) await writeFileAtomic(json, reportToJson(report));
  if (junit !== undefined) await writeFileAtomic(junit, reportToJunit(report));
  cli.exitCode = unreadable > 0 ? EXIT.usage : report.failed > 0 ? EXIT.failed : EXIT.ok;
}

/** Every way in which each fixture is to be run. */
function planSpecs({
  lowering,
  opset: opsets,
  provider: name,
  groupNorm,
  rtol,
  atol,
}: ParityOptions): CheckSpec[] {
  const provider = requireProvider(name);
  return opsets.flatMap((opset) => {
    requireOpset(opset);
    const named = () => [getLowering(lowering ?? defaultLowering(opset), opset).name];
    const lowerings = lowering === 'all' ? loweringsAt(opset) : named();
    return lowerings.map((one) => ({ lowering: one, opset, provider, groupNorm, rtol, atol }));
  });
}

/** One case after the other, because ONNX Runtime uses every core for each. */
async function checkAll(files: readonly string[], specs: readonly CheckSpec[], { io }: Cli) {
  const results: CaseResult[] = [];
  const loose = new Set<string>();
  let unreadable = 0;
  await withProgress(io.stderr, async (progress) => {
    for (const [at, file] of files.entries()) {
      const fixture = await readFixture(file).catch(asUnreadable);
      if (fixture instanceof OnnxGroupNormError) {
        unreadable += 1;
        // Once, however many ways there are to run it.
        results.push(couldNotRead(file, specs[0]!, fixture));
        continue;
      }
      if (specs.some((spec) => allowsMore(fixture, spec))) loose.add(file);
      for (const spec of specs) {
        progress.step(
          `case ${results.length + 1}, fixture ${at + 1} of ${files.length}: ${file}, ${spec.lowering}`,
        );
        results.push(await checkFixture(fixture, spec, buildRegistryGraph));
      }
    }
  });
  return { results, unreadable, loose };
}

/** Whether the fixture, not the command line, sets a tolerance above the default of an output's dtype. */
const allowsMore = ({ outputs, ...own }: Fixture, spec: CheckSpec): boolean =>
  [...outputs.values()].some(({ dtype }) =>
    (['rtol', 'atol'] as const).some(
      (key) => spec[key] === undefined && (own[key] ?? 0) > defaultTolerance(dtype)[key],
    ),
  );

function couldNotRead(file: string, spec: CheckSpec, { code, message }: OnnxGroupNormError): CaseResult {
  const { lowering, opset, provider } = spec;
  const base = { file, graph: 'unknown', lowering, opset, provider, passed: false, outputs: [] };
  return { ...base, error: { code, message }, milliseconds: 0 };
}

/** Errors about the file are results; any other is a bug. */
function asUnreadable(error: unknown): OnnxGroupNormError {
  if (error instanceof OnnxGroupNormError) return error;
  throw error;
}

const buildRegistryGraph: BuildGraph = (name, options, input) => getGraph(name).build(options, input);

const DESCRIPTION =
  "Builds the network that each fixture names, with the fixture's weights, runs it on the fixture's inputs, and " +
  "compares every output with PyTorch's. A case passes if |actual − expected| ≤ atol + rtol·|expected| for every " +
  'element. Where a fixture has the result in float64, the table also says how far the model and PyTorch are ' +
  'from it.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm parity test/fixtures/group-norm
  $ onnx-groupnorm parity test/fixtures/group-norm --lowering all --opset 17,21
  $ onnx-groupnorm parity test/fixtures/group-norm --json report.json --junit report.xml
  $ onnx-groupnorm parity test/fixtures/group-norm --json - > report.json

Exit codes: 0 all cases passed; 1 a case failed, or could not run; 2 bad usage, or a file that cannot be read
or is no fixture: the other cases are run all the same.`;
