/** Loads ONNX Runtime's native library: the only module that does, and that checks whether the library may start. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as OnnxRuntimeNode from 'onnxruntime-node';
import type { ProviderProblem } from '../core/contract.js';
import { runtimeFolder } from './installation.js';
import { otherVersionProblem } from './two-versions.js';
import { commandLineProblem } from './workarounds.js';

/** onnxruntime-node, or the problem that keeps it from being used. */
export type OnnxRuntime =
  | { readonly ort: typeof OnnxRuntimeNode; readonly problem?: undefined }
  | { readonly ort?: undefined; readonly problem: ProviderProblem };

const WITHOUT_LIBRARY = "providers: ['wasm'] needs no native library";

let loading: Promise<OnnxRuntime> | undefined;

/** Loads onnxruntime-node on the first call, so that building and reading models needs no native library. */
export const loadOnnxRuntime = (): Promise<OnnxRuntime> => (loading ??= tryLoad());

async function tryLoad(): Promise<OnnxRuntime> {
  const reason = commandLineProblem();
  if (reason !== undefined) return { problem: { reason, remedy: WITHOUT_LIBRARY } };
  try {
    return { ort: await import('onnxruntime-node') };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const known = muslProblem() ?? otherVersionProblem(message);
    if (known) return { problem: known };
    const cannot = `onnxruntime-node cannot be loaded: ${message}`;
    return { problem: { reason: cannot, remedy: WITHOUT_LIBRARY } };
  }
}

/** Says that ONNX Runtime has no native library for this process's C library, musl; `undefined` for another. */
export function muslProblem(mapped = mappedFiles()): ProviderProblem | undefined {
  if (!/\/ld-musl-[^/\n]*\.so\.1$/m.test(mapped)) return undefined;
  const reason = 'onnxruntime-node has no library for musl, the C library of Alpine Linux, but for glibc';
  return { reason, remedy: `${WITHOUT_LIBRARY}; or use an image with glibc, such as node:slim` };
}

/** Returns the list of the files that are mapped into this process on Linux, and the empty string elsewhere. */
function mappedFiles(): string {
  if (process.platform !== 'linux') return '';
  try {
    return readFileSync('/proc/self/maps', 'utf8');
  } catch {
    return '';
  }
}

/** libonnxruntime.so.1, libonnxruntime.1.30.0.dylib, onnxruntime.dll. */
const LIBRARY = /^(libonnxruntime(\.so\.\d+|\.[\d.]+\.dylib)|onnxruntime\.dll)$/;

/**
 * Returns the path of the library that onnxruntime-node loads, for the addon to load the same one.
 * @throws Error if the library must not start in this process, or does not exist.
 */
export function onnxRuntimeLibrary(): string {
  const problem = commandLineProblem();
  if (problem !== undefined) throw new Error(problem);
  const folder = runtimeFolder();
  const libraries = existsSync(folder) ? readdirSync(folder).filter((name) => LIBRARY.test(name)) : [];
  // onnxruntime-node's own binding asks for the shortest name.
  const [library] = libraries.sort((a, b) => a.length - b.length);
  if (library === undefined) {
    throw new Error(`onnxruntime-node has no library for ${process.platform}-${process.arch} in ${folder}`);
  }
  return join(folder, library);
}

/** onnxruntime-node's native library, as `doctor` reports it. */
export interface NativeBinding {
  /** Why the library cannot be loaded; `undefined` if it can. */
  readonly error: string | undefined;
  /** The providers that the library was built with, and whether the files that each needs are there. */
  readonly backends: readonly {
    /** The name that onnxruntime-node gives the provider. */
    readonly name: string;
    /** Whether its files are there. */
    readonly installed: boolean;
  }[];
}

/** Loads onnxruntime-node, and lists its providers. */
export async function nativeBinding(): Promise<NativeBinding> {
  const { ort, problem } = await loadOnnxRuntime();
  if (!ort) return { error: problem.reason, backends: [] };
  const backends = ort.listSupportedBackends().map(({ name, bundled }) => ({
    name,
    installed: bundled || hasLibrary(name),
  }));
  return { error: undefined, backends };
}

/** Whether the library of a provider that does not come with the package was added to it. */
function hasLibrary(provider: string): boolean {
  const [prefix, extension] = process.platform === 'win32' ? ['', 'dll'] : ['lib', 'so'];
  return existsSync(join(runtimeFolder(), `${prefix}onnxruntime_providers_${provider}.${extension}`));
}
