/** `doctor`: finds out what works in this installation, and what to do about the rest. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { printableJson } from '../../printable.js';
import { type Provider, type ProviderProblem, PROVIDERS } from '../../runtime/core/contract.js';
import { runSelfTest } from '../../runtime/session/self-test.js';
import { type AddonOrigin, loadAddon } from '../../runtime/native/addon.js';
import { chooseBackend, createSession } from '../../runtime/node.js';
import { isOnCuda, missingCudnn } from '../../runtime/ort-node/cuda.js';
import { type InstalledPackage, installedPackages } from '../../runtime/ort-node/installation.js';
import { type NativeBinding, nativeBinding } from '../../runtime/ort-node/load.js';
import { tf32Problem } from '../../runtime/ort-node/workarounds.js';
import { pointToHelp } from '../shared/options.js';
import { withProgress } from '../shared/progress.js';
import { formatTable, indent } from '../shared/table.js';
import { type Cli, type Colors, colorsOf, EXIT, packageInfo, print } from '../shared/terminal.js';

export function addDoctor(program: Command, cli: Cli): void {
  const command = program
    .command('doctor')
    .summary('show what works on this machine, and why the rest does not')
    .description(DESCRIPTION)
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: { json?: boolean }) => doctor(options, cli));
  pointToHelp(command);
}

async function doctor({ json = false }: { json?: boolean }, cli: Cli): Promise<void> {
  const { stdout, stderr } = cli.io;
  const diagnosis = await withProgress(stderr, async (progress) => {
    progress.step('running a small model on each provider');
    return diagnose();
  });
  if (json) print(stdout, printableJson(diagnosis));
  else print(stdout, ...describeDiagnosis(diagnosis, colorsOf(stdout)));
  cli.exitCode = works(diagnosis) ? EXIT.ok : EXIT.failed;
}

/** The findings, which `--json` prints. */
export interface Diagnosis {
  /** The version of this package. */
  readonly version: string;
  /** The JavaScript runtime. */
  readonly node: {
    /** The version of Node that runs, or that another runtime reports. */
    readonly version: string;
    /** The versions of Node that this package supports. */
    readonly required: string;
    /** Whether the version is one of them. */
    readonly supported: boolean;
    /** The runtime, if it is not Node itself but reports a version of Node: `Bun 1.4.5`. */
    readonly runtime?: string;
  };
  /** `process.platform`, such as `linux`. */
  readonly platform: string;
  /** `process.arch`, such as `x64`. */
  readonly arch: string;
  /** The packages of ONNX Runtime, and those that `serve` needs. */
  readonly packages: readonly InstalledPackage[];
  /** The native library of onnxruntime-node. */
  readonly nativeBinding: NativeBinding;
  /** The addon with the kernel of this package. */
  readonly nativeKernel: NativeKernel;
  /** Every execution provider, usable or not. */
  readonly providers: readonly ProviderDiagnosis[];
}

/** The addon with the kernel of this package: its binary, or why it cannot be loaded. */
interface NativeKernel {
  /** The path of its binary. */
  readonly path?: string | undefined;
  /** `prebuilt` (it came with the package), `local build`, or `ONNX_GROUPNORM_ADDON`, which named it. */
  readonly origin?: AddonOrigin | undefined;
  /** SHA-256 of the binary. */
  readonly sha256?: string | undefined;
  /** `avx512`, `avx2`, `neon` or `portable`. */
  readonly instructionSet?: string | undefined;
  /** Why the addon cannot be loaded. */
  readonly reason?: string | undefined;
  /** What to do about it. */
  readonly remedy?: string | undefined;
}

/** An execution provider, and whether it works. */
interface ProviderDiagnosis {
  /** The name of the provider. */
  readonly name: string;
  /** Whether it ran a small GroupNormalization, and the result was right. */
  readonly usable: boolean;
  /** Why the provider is not usable, in the order in which to fix it, each with what to do. */
  readonly problems?: readonly BackendProblem[];
  /** Why the provider, although usable, cannot run some models. */
  readonly limits?: readonly ProviderProblem[];
}

/** A problem, and the provider that has it. */
interface BackendProblem extends ProviderProblem {
  /** The provider that has the problem: `cpu` may run on `native`. Absent if the provider ran, but its result was wrong. */
  readonly provider?: Provider;
}

/** Returns whether the machine can run models at all: the `cpu` provider must work. */
export const works = ({ providers }: Diagnosis): boolean =>
  providers.some(({ name, usable }) => name === 'cpu' && usable);

/** The packages that `serve` stands on. */
const SERVER_PACKAGES = ['fastify'];

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
    packages: [...installedPackages(), ...installedPackages(SERVER_PACKAGES)],
    nativeBinding: binding,
    nativeKernel: diagnoseKernel(),
    providers,
  };
}

/** Returns whether the version of Node is at least that of a range such as `>=20.19`. */
export function isSupported(range: string, version = process.versions.node): boolean {
  const [least = [], actual = []] = [range, version].map((text) => text.match(/\d+/g)?.map(Number));
  const at = least.findIndex((part, index) => part !== (actual[index] ?? 0));
  return at < 0 || (actual[at] ?? 0) > least[at]!;
}

/** Names Bun or Deno, which report a version of Node as well. */
function otherRuntime(): Pick<Diagnosis['node'], 'runtime'> {
  const { bun, deno } = process.versions;
  const runtime = bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : undefined;
  return runtime === undefined ? {} : { runtime };
}

function diagnoseKernel(): NativeKernel {
  const state = loadAddon();
  if (!state.addon) return { ...state.problem };
  const sha256 = createHash('sha256').update(readFileSync(state.binary.path)).digest('hex');
  return { ...state.binary, instructionSet: state.addon.instructionSet(), sha256 };
}

async function diagnoseProvider(name: Provider): Promise<ProviderDiagnosis> {
  const problems = await selfTestProvider(name);
  if (problems.length > 0) return { name, usable: false, problems };
  const limits = await limitsOf(name);
  return { name, usable: true, ...(limits.length > 0 && { limits }) };
}

/**
 * Runs the self-test, a model with a GroupNormalization, on a provider.
 * @returns Why the provider does not work, in the order in which to fix it; empty if it works.
 */
export async function selfTestProvider(provider: Provider): Promise<readonly ProviderProblem[]> {
  const { problems } = await chooseBackend(provider, false);
  if (problems) return problems;
  const reason = await runSelfTest((model) => createSession(model, { providers: [provider] }), 'op');
  return reason === undefined ? [] : [{ reason }];
}

/** Returns what a usable provider lacks for some models or computes differently: cuDNN, and TF32 on CUDA. */
async function limitsOf(provider: Provider): Promise<readonly ProviderProblem[]> {
  if (!isOnCuda(provider)) return [];
  const cudnn = process.platform === 'linux' ? await missingCudnn() : undefined;
  return [cudnn, tf32Problem()].filter((problem) => problem !== undefined);
}

/** Returns the findings as lines. */
export const describeDiagnosis = (diagnosis: Diagnosis, colors: Colors): string[] => [
  ...describeInstallation(diagnosis, colors),
  '',
  'Execution providers',
  ...diagnosis.providers.flatMap((provider) => describeProvider(provider, colors)),
];

function describeInstallation(diagnosis: Diagnosis, colors: Colors): string[] {
  const { version, node, platform, arch, packages, nativeBinding: binding, nativeKernel: kernel } = diagnosis;
  const rows = [
    ['onnx-groupnorm', version, ''],
    ...(node.runtime === undefined ? [] : [['runtime', node.runtime, '']]),
    ['Node', node.version, node.supported ? colors.green('supported') : colors.red(`needs ${node.required}`)],
    ['platform', `${platform} ${arch}`, ''],
    ...packages.map(({ name, version: found }) =>
      found === undefined ? [name, '–', colors.red('not installed: npm install')] : [name, found, ''],
    ),
    ['native binding', '', binding.error === undefined ? colors.green('loads') : colors.red('does not load')],
    ['native kernel', kernel.instructionSet ?? '', kernel.path ?? colors.yellow('not installed')],
    ...(kernel.origin === undefined ? [] : [['', kernel.origin, `SHA-256 ${kernel.sha256}`]]),
  ];
  const faults = [binding.error, kernel.reason].filter((text) => text !== undefined);
  return [formatTable(rows), ...faults.map((text) => indent(text))];
}

function describeProvider(diagnosis: ProviderDiagnosis, colors: Colors): string[] {
  const { name, usable, problems = [], limits = [] } = diagnosis;
  const title = `  ${name.padEnd(10)} `;
  const margin = ' '.repeat(title.length);
  const verdict = usable
    ? `${colors.green('usable')}: it ran a GroupNormalization, and the result is right`
    : colors.yellow('not usable');
  return [
    `${title}${verdict}`,
    ...[...problems, ...limits].flatMap(({ reason, remedy }) => [
      indent(reason, margin),
      ...(remedy === undefined ? [] : [indent(`→ ${remedy}`, margin)]),
    ]),
  ];
}

const DESCRIPTION =
  'Prints the versions of Node and ONNX Runtime, and which execution providers work here. Each provider runs a small ' +
  'GroupNormalization, and doctor checks the result. For a provider that does not work, doctor says what is missing ' +
  'and what to do. Start here if something fails, and put the output into a bug report.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm doctor
  $ npx onnx-groupnorm doctor --json

Exit codes: 0 the cpu provider works; 1 it does not.`;
