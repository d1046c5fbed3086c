/** What `doctor` found, as data and for people. */
import type { Problem } from '../runtime/backend.js';
import type { InstalledPackage, NativeBinding } from '../runtime/diagnose.js';
import { formatTable, indent } from './format.js';
import type { colorsOf } from './io.js';

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
