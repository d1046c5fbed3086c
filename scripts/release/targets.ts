/** The platforms of the prebuilt binaries: every platform for which onnxruntime-node has a library. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Where the binaries lie: `<platform>-<arch>/onnx_groupnorm.node`, as lib/runtime/native/addon.ts looks for them. */
export const PREBUILT = join(ROOT, 'native/prebuilt');

export interface Target {
  /** `process.platform` and `process.arch` of the Node that loads the binary. */
  readonly platform: 'linux' | 'win32' | 'darwin';
  readonly arch: 'x64' | 'arm64';
  /** The target in zig's words. The number is the oldest glibc or macOS that loads the binary. */
  readonly zig: string;
}

export const TARGETS: readonly Target[] = [
  { platform: 'linux', arch: 'x64', zig: 'x86_64-linux-gnu.2.17' },
  { platform: 'linux', arch: 'arm64', zig: 'aarch64-linux-gnu.2.28' },
  { platform: 'win32', arch: 'x64', zig: 'x86_64-windows-gnu' },
  { platform: 'win32', arch: 'arm64', zig: 'aarch64-windows-gnu' },
  { platform: 'darwin', arch: 'arm64', zig: 'aarch64-macos.11.0' },
];

export const nameOf = ({ platform, arch }: Target): string => `${platform}-${arch}`;

export const binaryOf = (target: Target): string => join(PREBUILT, nameOf(target), 'onnx_groupnorm.node');

/** Returns the targets of the given names; all targets if there are no names. */
export function targetsNamed(names: readonly string[]): readonly Target[] {
  const known = new Map(TARGETS.map((target) => [nameOf(target), target]));
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new Error(`unknown target '${unknown}'; the targets are ${[...known.keys()].join(', ')}`);
  }
  return names.length === 0 ? TARGETS : names.map((name) => known.get(name)!);
}
