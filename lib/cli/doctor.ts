/** `doctor`: what of this installation works. */
import type { Command } from 'commander';
import { installedPackages, nativeBinding, type NativeBinding } from '../runtime/diagnose.js';
import { PROVIDERS } from '../runtime/index.js';
import { EXIT } from './exit-codes.js';
import { describeDiagnosis, works, type Diagnosis, type ProviderDiagnosis } from './doctor-report.js';
import { colorsOf, print, type Cli } from './io.js';
import { packageInfo } from './package-info.js';
import { withProgress } from './progress.js';
import { probeProvider } from './provider-probe.js';

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
  for (const name of new Set([...PROVIDERS, ...binding.backends.map((backend) => backend.name)])) {
    providers.push(await diagnoseProvider(name, binding));
  }
  return {
    version,
    node: { version: process.versions.node, required: engines.node, supported: isSupported(engines.node) },
    platform: process.platform,
    arch: process.arch,
    packages: installedPackages(),
    nativeBinding: binding,
    providers,
  };
}

async function diagnoseProvider(name: string, { backends }: NativeBinding): Promise<ProviderDiagnosis> {
  const known = PROVIDERS.find((provider) => provider === name);
  // Nothing that could be installed would change that.
  if (!known) {
    const reason = `this version of onnx-groupnorm does not use it; it uses: ${PROVIDERS.join(', ')}`;
    return { name, usable: false, reason };
  }
  const reason = await probeProvider(known);
  if (reason === undefined) return { name, usable: true };
  const missing = backends.some((backend) => backend.name === name && !backend.installed);
  return { name, usable: false, reason, ...(missing && { remedy: HOW_TO_INSTALL }) };
}

/** Whether this Node is at least the version of `>=20.19`. */
export function isSupported(range: string, version = process.versions.node): boolean {
  const [least = [], actual = []] = [range, version].map((text) => text.match(/\d+/g)?.map(Number));
  const at = least.findIndex((part, index) => part !== (actual[index] ?? 0));
  return at < 0 || (actual[at] ?? 0) > least[at]!;
}

const HOW_TO_INSTALL =
  "its libraries are not installed: delete the line 'onnxruntime-node-install=skip' from .npmrc, if it is there, " +
  "and run 'npm rebuild onnxruntime-node', which downloads them";

const DESCRIPTION =
  'Says which Node, platform and ONNX Runtime this is, and which execution providers are really usable: each ' +
  'runs a small GroupNormalization, and its result is compared with the right one. Start here if something ' +
  'does not work, and put what it prints into a bug report.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm doctor
  $ onnx-groupnorm doctor --json

Exit codes: 0 the cpu provider works; 1 it does not.`;
