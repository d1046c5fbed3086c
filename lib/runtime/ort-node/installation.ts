/** The packages of ONNX Runtime that are installed, and the folder of the native library. Loads nothing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The packages of ONNX Runtime that this package depends on. */
const PACKAGES = ['onnxruntime-node', 'onnxruntime-web', 'onnxruntime-common'] as const;

/** A package, and whether it is installed. */
export interface InstalledPackage {
  /** The name on npm. */
  readonly name: string;
  /** The version; `undefined` if the package is not installed. */
  readonly version: string | undefined;
}

/** Returns packages with their versions, by default those of ONNX Runtime. */
export const installedPackages = (names: readonly string[] = PACKAGES): InstalledPackage[] =>
  names.map((name) => ({ name, version: findPackage(name)?.version }));

/** The native library of onnxruntime-node. */
export interface InstalledRuntime {
  /** The folder of libonnxruntime.so.1. */
  readonly folder: string;
  readonly version: string;
}

/** Returns the version of onnxruntime-node, and the folder of its native library. */
export const nodeRuntime = (): InstalledRuntime => ({
  folder: runtimeFolder(),
  version: findPackage('onnxruntime-node')!.version,
});

/** Returns the folder that holds libonnxruntime for this platform, and the libraries of its providers. */
export function runtimeFolder(): string {
  const bin = join(findPackage('onnxruntime-node')!.folder, 'bin');
  const napi = readdirSync(bin).find((name) => name.startsWith('napi-v'));
  return join(bin, napi ?? '', process.platform, process.arch);
}

/** Finds a package above its entry file: the packages do not export their `package.json`. */
function findPackage(name: string): { folder: string; version: string } | undefined {
  let folder: string;
  try {
    folder = dirname(createRequire(import.meta.url).resolve(name));
  } catch {
    return undefined;
  }
  for (; folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, 'package.json');
    const found =
      existsSync(path) && (JSON.parse(readFileSync(path, 'utf8')) as { name?: string; version: string });
    if (found && found.name === name) return { folder, version: found.version };
  }
  return undefined;
}
