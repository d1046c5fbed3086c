/** `doctor`: what of this installation works. */
import type { Command } from 'commander';
import { installedPackages, nativeBinding } from '../runtime/diagnose.js';
import { PROVIDERS, type Provider } from '../runtime/index.js';
import { loadAddon } from '../runtime/native/addon.js';
import { EXIT } from './exit-codes.js';
import {
  describeDiagnosis,
  works,
  type Diagnosis,
  type NativeKernel,
  type ProviderDiagnosis,
} from './doctor-report.js';
import { colorsOf, print, type Cli } from './io.js';
import { packageInfo } from './package-info.js';
import { withProgress } from './progress.js';
import { limitsOf, probeProvider } from './provider-probe.js';

export function addDoctor(program: Command, cli: Cli): void {
  program
    .command('doctor')
    .summary('say what works on this machine, and why the rest does not')
    .description(DESCRIPTION)
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: { json?: boolean }) => doctor(options, cli));
}

async function doctor({ json = false }: { json?: boolean }, cli: Cli): Promise<void> {
  const { stdout, stderr } = cli.io;
  const diagnosis = await withProgress(stderr, async (progress) => {
    progress.step('running a small model on each provider');
    return diagnose();
  });
  if (json) print(stdout, JSON.stringify(diagnosis, null, 2));
  else print(stdout, ...describeDiagnosis(diagnosis, colorsOf(stdout)));
  cli.exitCode = works(diagnosis) ? EXIT.ok : EXIT.failed;
}

async function diagnose(): Promise<Diagnosis> {
  const { version, engines } = packageInfo();
  const binding = await nativeBinding();
  const providers: ProviderDiagnosis[] = [];
  for (const name of PROVIDERS) providers.push(await diagnoseProvider(name));
  return {
    version,
    node: {
      version: process.versions.node,
      required: engines.node,
      supported: isSupported(engines.node),
      ...otherRuntime(),
    },
    platform: process.platform,
    arch: process.arch,
    packages: installedPackages(),
    nativeBinding: binding,
    nativeKernel: diagnoseKernel(),
    providers,
  };
}

/** Bun and Deno give a version of Node, too. */
function otherRuntime(): Pick<Diagnosis['node'], 'runtime'> {
  const { bun, deno } = process.versions;
  const runtime = bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : undefined;
  return runtime === undefined ? {} : { runtime };
}

async function diagnoseProvider(name: Provider): Promise<ProviderDiagnosis> {
  const problems = await probeProvider(name);
  if (problems.length > 0) return { name, usable: false, problems };
  const limits = await limitsOf(name);
  return { name, usable: true, ...(limits.length > 0 && { limits }) };
}

function diagnoseKernel(): NativeKernel {
  const { addon, ...found } = loadAddon();
  return addon ? { ...found, instructionSet: addon.instructionSet() } : found;
}

/** Whether this Node is at least the version of `>=20.19`. */
export function isSupported(range: string, version = process.versions.node): boolean {
  const [least = [], actual = []] = [range, version].map((text) => text.match(/\d+/g)?.map(Number));
  const at = least.findIndex((part, index) => part !== (actual[index] ?? 0));
  return at < 0 || (actual[at] ?? 0) > least[at]!;
}

const DESCRIPTION =
  'Says which Node, platform and ONNX Runtime this is, and which execution providers are really usable: each ' +
  'runs a small GroupNormalization, and its result is compared with the right one; of the others it says what is ' +
  'missing, in order, and what to do. Start here if something ' +
  'does not work, and put what it prints into a bug report.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm doctor
  $ onnx-groupnorm doctor --json

Exit codes: 0 the cpu provider works; 1 it does not.`;
