/**
 * Writes docs/providers.md: the parity suite on every provider that this machine has, and how GroupNormalization runs
 * on each.
 *
 *   npm run docs:providers
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { machine, quantile, table } from '../bench/statistics.js';
import { getGraph } from '../graphs/registry.js';
import { availableProviders } from '../lib/cli/shared/options.js';
import {
  type CaseResult,
  checkFixture,
  type CheckSpec,
  describeFailure,
  LOWERING_NAMES,
  type Provider,
  type ProviderFallback,
  PROVIDERS,
  readFixture,
} from '../lib/index.js';
import { GROUP_NORM_CHOICES } from '../lib/runtime/core/group-norm-policy.js';
import { nodeRuntime } from '../lib/runtime/ort-node/installation.js';
import { parityFixtures } from '../test/support/fixtures.js';
import { measureTimings, TIMINGS_HEAD } from './provider-timings.js';

const TARGET = fileURLToPath(new URL('../docs/providers.md', import.meta.url));
const MARK = '<!-- Written by scripts/providers.ts from here on. -->';
const NORMS = ['group-norm', 'onnx'];
const NETWORKS = ['resnet-block', 'double-conv', 'unet', 'detection-backbone', 'norm-comparison'];
const OPSET = 21;
/** `cpu` would be `native` again. */
const AS_WITHOUT_ADDON: Partial<Record<Provider, Pick<CheckSpec, 'groupNorm'>>> = {
  cpu: { groupNorm: 'reduce-mean' },
};

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
    'Median of calls as a user makes them, each session in a thread of its own, with other work on the machine; the error ' +
      'is the largest distance from float64.',
    table(TIMINGS_HEAD, await measureTimings(available)),
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

/** Where this repository lies is of no interest. */
const withoutPaths = (text: string): string => text.replace(/\/\S+\/node_modules\//g, 'node_modules/');

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

/** What did not pass: the document is written all the same. */
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
