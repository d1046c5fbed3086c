/**
 * Writes docs/providers.md: the parity suite on every provider of this machine, and how fast and exact one
 * GroupNormalization is on each.
 *
 *   npm run docs:providers
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CPU, groupNormModel, NUM_GROUPS } from '../../bench/runners.js';
import { type ThreadSpec, timeSessions } from '../../bench/session-threads.js';
import { machine, normalTensor, quantile, table } from '../../bench/statistics.js';
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
  type ProviderFallback,
  PROVIDERS,
  readFixture,
  type Session,
} from '../../lib/index.js';
import { GROUP_NORM_CHOICES } from '../../lib/runtime/core/group-norm-policy.js';
import { nodeRuntime } from '../../lib/runtime/ort-node/installation.js';
import { parityFixtures } from '../../test/support/fixtures.js';
import { maxAbsDifference, referenceGroupNorm } from '../../test/support/group-norm.js';

const TARGET = fileURLToPath(new URL('../../docs/providers.md', import.meta.url));
const MARK = '<!-- scripts/docs/providers.ts writes the rest of this page -->';
const NORMS = ['group-norm', 'onnx'];
const NETWORKS = ['resnet-block', 'double-conv', 'unet', 'detection-backbone', 'norm-comparison'];
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

async function main(): Promise<void> {
  const { available, missing } = await availableProviders('all');
  const specs = available.flatMap((provider) =>
    LOWERING_NAMES.map((lowering) => ({ lowering, opset: OPSET, provider, ...AS_WITHOUT_ADDON[provider] })),
  );
  const norms = await runAll(NORMS, specs);
  const networks = await runAll(NETWORKS, specs);
  const sections = [
    `Measured on ${machine()}, ${process.platform}-${process.arch}, with ONNX Runtime ${nodeRuntime().version}.`,
    ...describeProviders(available, missing),
    '## One GroupNormalization, 32 groups, float32',
    'Median of calls as a user makes them, each session in its own thread, with other work on the machine; the error ' +
      'is the largest distance from float64.',
    table(TIMINGS_HEAD, await timingRows(available)),
    '## The parity suite: cases by provider and lowering',
    SUMMARY,
    summary(norms, networks, available),
    ...failures([...norms, ...networks]),
    '## Every case',
    "The largest difference from PyTorch; `*` where the case allows more than PyTorch's default.",
    everyCase([...norms, ...networks], available),
  ];
  const [introduction] = (await readFile(TARGET, 'utf8')).split(MARK);
  await writeFile(TARGET, `${introduction}${MARK}\n\n${sections.join('\n\n')}\n`);
}

function describeProviders(available: readonly Provider[], missing: readonly ProviderFallback[]): string[] {
  const rows = [
    ...available.map((provider) => [provider, 'usable']),
    ...missing.map(({ provider, reason }) => [provider, `**not run**: ${withoutPaths(reason)}`]),
  ];
  return [
    '## Providers',
    table(['provider', 'here'], rows),
    '## How GroupNormalization runs by default',
    table(['provider', 'runs as', 'because'], PROVIDERS.map(describeChoice)),
  ];
}

const SUMMARY =
  "A case passes if every element is within torch.testing.assert_close's tolerance, or the wider one that the case " +
  "states. `cpu` is onnxruntime-node here, as it is where the addon was not built. The distance is from float64, ours over PyTorch's, the median of the float32 and narrower cases.";

const describeChoice = (provider: Provider): string[] => {
  const { groupNorm, because } = GROUP_NORM_CHOICES[provider];
  return [provider, groupNorm, because];
};

/** Shortens the absolute paths of this machine. */
const withoutPaths = (text: string): string => text.replace(/\/\S+\/node_modules\//g, 'node_modules/');

const TIMINGS_HEAD = [
  'shape',
  'provider',
  'GroupNormalization',
  'ms',
  ...MEANS.map((mean) => `error, mean ${mean}`),
];

/** Returns a row for each shape, provider and way to run GroupNormalization. */
async function timingRows(providers: readonly Provider[]): Promise<string[][]> {
  const rows: string[][] = [];
  for (const shape of SHAPES) {
    for (const provider of providers) rows.push(...(await timeWays(shape, provider)));
  }
  return rows;
}

async function timeWays(shape: readonly number[], provider: Provider): Promise<string[][]> {
  // The native kernel runs every model alike; other providers run GroupNormalization as the option says.
  const ways: readonly (LoweringName | undefined)[] = provider === 'native' ? [undefined] : LOWERING_NAMES;
  const model = groupNormModel(shape);
  const specs = ways.map((groupNorm): [string, ThreadSpec] => [
    groupNorm ?? 'kernel',
    { model, shape, options: { providers: [provider === 'cpu' ? CPU : provider], strict: true, groupNorm } },
  ]);
  const times = await timeSessions(Object.fromEntries(specs), ROUNDS, { calls: 4, warmUp: 20 });
  const rows: string[][] = [];
  for (const [name, { options }] of specs) {
    await using session = await createSession(model, options);
    const errors: string[] = [];
    for (const mean of MEANS) errors.push((await errorOf(session, shape, mean)).toExponential(1));
    rows.push([shape.join('×'), provider, name, quantile(times[name]!, 0.5).toFixed(2), ...errors]);
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

async function runAll(folders: readonly string[], specs: readonly CheckSpec[]): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const file of folders.flatMap(parityFixtures)) {
    const fixture = await readFixture(file);
    process.stderr.write(`${fixture.graph} ${basename(file)}\n`);
    for (const spec of specs) {
      results.push(
        await checkFixture(fixture, spec, (name, options, input) => getGraph(name).build(options, input)),
      );
    }
  }
  return results;
}

function summary(
  norms: readonly CaseResult[],
  networks: readonly CaseResult[],
  providers: readonly Provider[],
): string {
  const row = (what: string, provider: Provider, cases: readonly CaseResult[]): string[] => {
    const ratios = cases.flatMap(distanceRatios);
    return [
      what,
      provider,
      [...new Set(cases.map(({ groupNorm }) => groupNorm ?? 'as written'))].join(', '),
      `${cases.filter(({ passed }) => passed).length} of ${cases.length}`,
      ratios.length === 0 ? '–' : quantile(ratios, 0.5).toFixed(2),
    ];
  };
  const rows = providers.flatMap((provider) => {
    const lowered = (what: string, cases: readonly CaseResult[]) =>
      LOWERING_NAMES.map((lowering) =>
        row(
          `${what}, ${lowering}`,
          provider,
          cases.filter((one) => one.provider === provider && one.lowering === lowering),
        ),
      );
    return [...lowered('group-norm', norms), ...lowered('networks', networks)];
  });
  return table(['cases', 'provider', 'runs as', 'passed', 'distance'], rows);
}

const distanceRatios = ({ outputs }: CaseResult): number[] =>
  outputs
    .map((one) => one.distanceToTruth! / one.referenceDistanceToTruth!)
    .filter((ratio) => Number.isFinite(ratio));

/** Returns a paragraph for each failed case. */
function failures(cases: readonly CaseResult[]): string[] {
  const failed = cases.filter(({ passed }) => !passed);
  return failed.map(
    (one) =>
      `**FAILED** ${one.graph} ${basename(one.file)}, ${one.lowering} on ${one.provider}: ${describeFailure(one)}`,
  );
}

function everyCase(cases: readonly CaseResult[], providers: readonly Provider[]): string {
  const files = [...new Set(cases.map(({ file }) => file))];
  const rows = files.flatMap((file) => {
    const own = cases.filter((one) => one.file === file);
    const name = `${own[0]!.graph} ${basename(file, '.safetensors')}`;
    return LOWERING_NAMES.map((lowering) => {
      const errorOn = (provider: Provider) =>
        describeError(own.find((one) => one.lowering === lowering && one.provider === provider)!);
      return [name, lowering, ...providers.map(errorOn)];
    });
  });
  return table(['case', 'lowering', ...providers], rows);
}

function describeError({ passed, outputs }: CaseResult): string {
  if (!passed) return '**failed**';
  const largest = Math.max(...outputs.map(({ maxAbs }) => maxAbs));
  const loose = outputs.some(({ atol }) => atol > 1e-5) ? '*' : '';
  return `${largest.toExponential(1)}${loose}`;
}

await main();
