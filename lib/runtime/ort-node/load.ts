/** Loads ONNX Runtime's native library: the only module that does, and that checks whether the library may start. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type * as OnnxRuntimeNode from 'onnxruntime-node';
import type { ProviderProblem } from '../core/contract.js';
import { runtimeFolder } from './installation.js';
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

/** The loader has found the library that another version has loaded, and misses the version's mark in it. */
const OTHER_VERSION = /(\S.*): version `VERS_([\d.]+)' not found/;

/** The oldest version of onnxruntime-node that this package's dependencies allow. */
const OLDEST: readonly [number, number] = [1, 24];

/**
 * Returns what an error of loading onnxruntime-node means if the process has loaded another version of it: the dynamic loader of
 * Linux loads one library of one name.
 */
export function otherVersionProblem(message: string): ProviderProblem | undefined {
  const match = OTHER_VERSION.exec(message);
  if (!match) return undefined;
  const [, library, wanted] = match as unknown as [string, string, string];
  const loaded = versionAbove(library);
  const which = loaded === undefined ? 'another version' : `version ${loaded}`;
  const fits = loaded !== undefined && isAtLeast(loaded, OLDEST);
  const overrides = fits
    ? `"overrides": { "onnx-groupnorm": { "onnxruntime-node": "${loaded}" } }`
    : `"overrides": { "onnxruntime-node": "${wanted}", "onnxruntime-common": "${wanted}" }`;
  return {
    reason:
      `onnxruntime-node ${wanted} cannot be loaded, because this process has loaded ${which} of it (${library}), and a ` +
      'process can have one',
    remedy:
      `install one version: add ${overrides} to the package.json of your application, and run npm install; or use ` +
      'the provider native, which runs on the loaded version',
  };
}

/** Returns the version of the package that a file belongs to. */
function versionAbove(file: string): string | undefined {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, 'package.json');
    if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version?: string }).version;
  }
  return undefined;
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
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
