/**
 * Measures the providers of this machine, and writes the tables of docs/providers.md: the parity suite on every provider
 * (docs/providers/cases.json), and how fast and exact one GroupNormalization is (docs/providers/times.json).
 *
 *   npm run docs:providers                           measures both
 *   npm run docs:providers -- times             measures the times only
 *   npm run docs:providers -- times 1,64,8,8    measures the times of one shape
 *   npm run docs:providers -- none              writes the tables of the measurements that are there
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reportOf, writeReport } from '../../bench/report.js';
import { CPU, groupNormModel, NUM_GROUPS } from '../../bench/runners.js';
import { type ThreadSpec, timeSessions } from '../../bench/session-threads.js';
import { normalTensor, quantile } from '../../bench/statistics.js';
import { getGraph } from '../../graphs/registry.js';
import { availableProviders } from '../../lib/cli/shared/options.js';
import {
  type CaseResult,
  checkFixture,
  type CheckSpec,
  createSession,
  describeFailure,
  LOWERING_NAMES,
  type LoweringName,
  type Provider,
  readFixture,
  type Session,
} from '../../lib/index.js';
import { parityFixtures } from '../../test/support/fixtures.js';
import { maxAbsDifference, referenceGroupNorm } from '../../test/support/group-norm.js';
import { type CaseRow, type TimeRow, withTables } from './provider-tables.js';

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));
const COMMAND = 'npm run docs:providers';
const FOLDERS = [
  'group-norm',
  'onnx',
  'resnet-block',
  'double-conv',
  'unet',
  'detection-backbone',
  'norm-comparison',
];
const OPSET = 21;
/** On `cpu`, a session would use the native kernel: this makes it run as it does without the addon. */
const AS_WITHOUT_ADDON: Partial<Record<Provider, Pick<CheckSpec, 'groupNorm'>>> = {
  cpu: { groupNorm: 'reduce-mean' },
};

const SHAPES = [
  [1, 64, 8, 8],
  [1, 320, 64, 64],
  [8, 256, 32, 32],
  [1, 128, 256, 256],
];
const ROUNDS = 12;
/** Means of the inputs in the error columns; their deviation is 1.4. */
const MEANS = [0, 300];

async function main(part = 'all', shape?: string): Promise<void> {
  const { available, missing } = await availableProviders('all');
  const notRun = missing.map(({ provider, reason }) => `\`${provider}\`: ${withoutPaths(reason)}`);
  if (part === 'all') write('cases.json', await runCases(available), notRun, ({ graph }) => graph);
  if (part === 'all' || part === 'times') {
    const shapes = SHAPES.filter((one) => shape === undefined || one.join() === shape);
    write('times.json', await timeProviders(available, shapes), notRun, (row) => row.shape.join());
  }
  const page = `${DOCS}providers.md`;
  await writeFile(page, await withTables(await readFile(page, 'utf8'), `${DOCS}providers/`));
}

/** Writes a report. Rows of other settings stay. */
const write = <Row>(
  name: string,
  rows: readonly Row[],
  notRun: readonly string[],
  settingOf: (row: Row) => string,
): void => writeReport(`${DOCS}providers/${name}`, reportOf(COMMAND, rows, { notRun }), settingOf);

/** Shortens the absolute paths of this machine. */
const withoutPaths = (text: string): string => text.replace(/\/\S+\/node_modules\//g, 'node_modules/');

async function runCases(providers: readonly Provider[]): Promise<CaseRow[]> {
  const rows: CaseRow[] = [];
  const specs = providers.flatMap((provider) =>
    LOWERING_NAMES.map((lowering) => ({ lowering, opset: OPSET, provider, ...AS_WITHOUT_ADDON[provider] })),
  );
  for (const file of FOLDERS.flatMap(parityFixtures)) {
    const fixture = await readFixture(file);
    process.stderr.write(`${fixture.graph} ${basename(file)}\n`);
    for (const spec of specs) {
      const result = await checkFixture(fixture, spec, (name, options, input) =>
        getGraph(name).build(options, input),
      );
      rows.push(rowOf(result));
    }
  }
  return rows;
}

function rowOf(result: CaseResult): CaseRow {
  const { graph, file, lowering, provider, groupNorm, outputs, passed } = result;
  const name = basename(file, '.safetensors');
  return {
    graph,
    case: name,
    lowering,
    provider,
    runsAs: groupNorm,
    maxAbs: Math.max(...outputs.map(({ maxAbs }) => maxAbs)),
    isLoose: outputs.some(({ atol }) => atol > 1e-5) || undefined,
    distances: outputs
      .map((one) => one.distanceToTruth! / one.referenceDistanceToTruth!)
      .filter((ratio) => Number.isFinite(ratio)),
    failure: passed ? undefined : `${graph} ${name}, ${lowering} on ${provider}: ${describeFailure(result)}`,
  };
}

async function timeProviders(providers: readonly Provider[], shapes: typeof SHAPES): Promise<TimeRow[]> {
  const rows: TimeRow[] = [];
  for (const shape of shapes) {
    for (const provider of providers) rows.push(...(await timeWays(shape, provider)));
  }
  return rows;
}

async function timeWays(shape: readonly number[], provider: Provider): Promise<TimeRow[]> {
  // The native kernel runs every model alike; other providers run GroupNormalization as the option says.
  const ways: readonly (LoweringName | undefined)[] = provider === 'native' ? [undefined] : LOWERING_NAMES;
  const model = groupNormModel(shape);
  const specs = ways.map((groupNorm): [string, ThreadSpec] => [
    groupNorm ?? 'kernel',
    { model, shape, options: { providers: [provider === 'cpu' ? CPU : provider], strict: true, groupNorm } },
  ]);
  const times = await timeSessions(Object.fromEntries(specs), ROUNDS, { calls: 4, warmUp: 20 });
  const rows: TimeRow[] = [];
  for (const [groupNorm, { options }] of specs) {
    await using session = await createSession(model, options);
    const errors: Record<string, number> = {};
    for (const mean of MEANS) errors[mean] = await errorOf(session, shape, mean);
    rows.push({ shape, provider, groupNorm, milliseconds: quantile(times[groupNorm]!, 0.5), errors });
  }
  return rows;
}

async function errorOf(session: Session, shape: readonly number[], mean: number): Promise<number> {
  const x = normalTensor(shape, mean);
  return maxAbsDifference(
    (await session.run({ x })).y!,
    referenceGroupNorm({ x, numGroups: NUM_GROUPS, eps: 1e-5 }),
  );
}

await main(...process.argv.slice(2));
