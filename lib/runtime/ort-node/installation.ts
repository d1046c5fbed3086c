/**
 * ONNX Runtime 1.30 looks through the process's command line with a regular expression of C++ when it starts, which
 * takes 200 bytes of the stack and more for each byte: at 30,000 bytes it ends the process, with 8 MiB of stack.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import type { Runtime } from './cuda.js';

/** Bytes that it is safe with. A worker thread has half the stack. */
const LONGEST = isMainThread ? 20_000 : 8_000;

/** @returns Why ONNX Runtime's native library must not be started in this process; nothing if it may. */
export function whyNotToStart(length = ownLength(), longest = LONGEST): string | undefined {
  if (length <= longest) return undefined;
  return (
    `the command line of this process is ${length} bytes long, and ONNX Runtime ends a process over one of more than ` +
    `about ${longest}: give fewer arguments, such as a folder in the place of its files`
  );
}

let known: number | undefined;
const ownLength = (): number => (known ??= commandLineLength());

/** On Linux, where ONNX Runtime reads it. */
function commandLineLength(): number {
  if (process.platform !== 'linux') return 0;
  try {
    return readFileSync('/proc/self/cmdline').length;
  } catch {
    return 0;
  }
}

// SECTION: What of ONNX Runtime is installed here: data for a diagnosis, not a word about it.

/** The packages of ONNX Runtime that this one depends on. */
const PACKAGES = ['onnxruntime-node', 'onnxruntime-web', 'onnxruntime-common'] as const;

export interface InstalledPackage {
  readonly name: string;
  /** Nothing if it is not installed. */
  readonly version: string | undefined;
}

/** The native library that onnxruntime-node is an interface to. */
export interface NativeBinding {
  /** Why it cannot be loaded; nothing if it can. */
  readonly error: string | undefined;
  /** What it was built to use, and whether the libraries that this takes are there. */
  readonly backends: readonly { readonly name: string; readonly installed: boolean }[];
}

/** Which packages are installed, without loading them. */
export const installedPackages = (): InstalledPackage[] =>
  PACKAGES.map((name) => ({ name, version: findPackage(name)?.version }));

/** Loads onnxruntime-node and asks it what it can use. */
export async function nativeBinding(): Promise<NativeBinding> {
  try {
    const { listSupportedBackends } = await import('onnxruntime-node');
    const backends = listSupportedBackends().map(({ name, bundled }) => ({
      name,
      installed: bundled || hasLibrary(name),
    }));
    return { error: undefined, backends };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error), backends: [] };
  }
}

/** Where onnxruntime-node keeps libonnxruntime for this platform, and looks for the libraries of its providers. */
export function runtimeFolder(): string {
  const bin = join(findPackage('onnxruntime-node')!.folder, 'bin');
  const napi = readdirSync(bin).find((name) => name.startsWith('napi-v'));
  return join(bin, napi ?? '', process.platform, process.arch);
}

/** What onnxruntime-node is here. */
export const nodeRuntime = (): Runtime => ({
  folder: runtimeFolder(),
  version: findPackage('onnxruntime-node')!.version,
});

/** Whether the library of a provider that does not come with the package was added to it. */
function hasLibrary(provider: string): boolean {
  const [prefix, extension] = process.platform === 'win32' ? ['', 'dll'] : ['lib', 'so'];
  return existsSync(join(runtimeFolder(), `${prefix}onnxruntime_providers_${provider}.${extension}`));
}

/** The packages export no `package.json`, so it is looked for above what they do export. */
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
