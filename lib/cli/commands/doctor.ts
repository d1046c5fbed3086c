import type { Command } from 'commander';
import { type Problem, type Provider, PROVIDERS } from '../../runtime/core/contract.js';
import { PROBE_INPUT, probeModel, whyWrong } from '../../runtime/core/self-test.js';
import { loadAddon } from '../../runtime/native/addon.js';
import { chooseBackend, createSession } from '../../runtime/node.js';
import { isOnCuda, missingCudnn } from '../../runtime/ort-node/cuda.js';
import {
  type InstalledPackage,
  installedPackages,
  type NativeBinding,
  nativeBinding,
} from '../../runtime/ort-node/installation.js';
import { packageInfo } from '../shared/package-info.js';
import { withProgress } from '../shared/progress.js';
import { formatTable, indent } from '../shared/table.js';
import { type Cli, colorsOf, EXIT, print } from '../shared/terminal.js';

/** What models it cannot run for want of something, although it is usable; nothing that is known, as a rule. */
export async function limitsOf(provider: Provider): Promise<readonly Problem[]> {
  const missing = isOnCuda(provider) && process.platform === 'linux' ? await missingCudnn() : undefined;
  return missing === undefined ? [] : [missing];
}

/**
 * Whether a provider can run a model with a GroupNormalization in it, and gets it right.
 * @returns Why not, in the order in which to see to it; nothing if it can.
 */
export async function probeProvider(provider: Provider): Promise<readonly Problem[]> {
  const { problems } = await chooseBackend(provider, false);
  if (problems) return problems;
  const reason = await whyNot(provider);
  return reason === undefined ? [] : [{ reason }];
}

async function whyNot(provider: Provider): Promise<string | undefined> {
  try {
    const session = await createSession(probeModel('op'), { providers: [provider] });
    try {
      return whyWrong((await session.run({ x: PROBE_INPUT })).y!.data as Float32Array);
    } finally {
      await session.dispose();
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

// SECTION: What `doctor` found, as data and for people.

export interface ProviderDiagnosis {
  readonly name: string;
  readonly usable: boolean;
  /** Why it is not, in the order in which to see to it, each with what to do about it. */
  readonly problems?: readonly Problem[];
  /** What keeps some models from running on it, although it is usable. */
  readonly limits?: readonly Problem[];
}

/** The addon with this project's kernel. */
export interface NativeKernel {
  /** Where its binary lies. */
  readonly path?: string | undefined;
  /** `avx512`, `avx2`, `neon` or `portable`. */
  readonly instructionSet?: string | undefined;
  /** Why there is none. */
  readonly reason?: string | undefined;
}

export interface Diagnosis {
  readonly version: string;
  readonly node: {
    readonly version: string;
    readonly required: string;
    readonly supported: boolean;
    /** What gives itself out as Node: `Bun 1.4.5`. */
    readonly runtime?: string;
  };
  readonly platform: string;
  readonly arch: string;
  readonly packages: readonly InstalledPackage[];
  readonly nativeBinding: NativeBinding;
  readonly nativeKernel: NativeKernel;
  readonly providers: readonly ProviderDiagnosis[];
}

/** Whether models can be run at all. */
export const works = ({ providers }: Diagnosis): boolean =>
  providers.some(({ name, usable }) => name === 'cpu' && usable);

type Colors = ReturnType<typeof colorsOf>;

/** The findings for people, as lines. */
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
    ['native kernel', kernel.instructionSet ?? '', kernel.path ?? colors.yellow('is not there')],
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

// SECTION: `doctor`: what of this installation works.

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
