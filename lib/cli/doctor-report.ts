/** What `doctor` found, as data and for people. */
import type { InstalledPackage, NativeBinding } from '../runtime/diagnose.js';
import { formatTable, indent } from './format.js';
import type { colorsOf } from './io.js';

export interface ProviderDiagnosis {
  readonly name: string;
  readonly usable: boolean;
  /** Why not. */
  readonly reason?: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export interface Diagnosis {
  readonly version: string;
  readonly node: { readonly version: string; readonly required: string; readonly supported: boolean };
  readonly platform: string;
  readonly arch: string;
  readonly packages: readonly InstalledPackage[];
  readonly nativeBinding: NativeBinding;
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
  const { version, node, platform, arch, packages, nativeBinding: binding } = diagnosis;
  const rows = [
    ['onnx-groupnorm', version, ''],
    ['Node', node.version, node.supported ? colors.green('supported') : colors.red(`needs ${node.required}`)],
    ['platform', `${platform} ${arch}`, ''],
    ...packages.map(({ name, version: found }) =>
      found === undefined ? [name, '–', colors.red('not installed: npm install')] : [name, found, ''],
    ),
    ['native binding', '', binding.error === undefined ? colors.green('loads') : colors.red('does not load')],
  ];
  return [formatTable(rows), ...(binding.error === undefined ? [] : [indent(binding.error)])];
}

function describeProvider({ name, usable, reason, remedy }: ProviderDiagnosis, colors: Colors): string[] {
  const title = `  ${name.padEnd(10)} `;
  if (usable)
    return [`${title}${colors.green('usable')}: it ran a GroupNormalization, and the result is right`];
  const details = [reason, remedy].filter((text) => text !== undefined);
  return [
    `${title}${colors.yellow('not usable')}`,
    ...details.map((text) => indent(text, ' '.repeat(title.length))),
  ];
}
