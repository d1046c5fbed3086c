/** Finds and loads the native addon: the one place that knows where its binary lies. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, toNamespacedPath } from 'node:path';
import type { ProviderProblem } from '../core/contract.js';
import { muslProblem, onnxRuntimeLibrary } from '../ort-node/load.js';
import { howToBuild } from './package-manager.js';

/** A tensor on its way to the addon. */
export interface AddonTensor {
  /** ONNXTensorElementDataType of ONNX Runtime's C interface. */
  readonly type: number;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView;
}

/** A tensor from the addon. */
export interface AddonResult {
  readonly type: number;
  readonly dims: readonly number[];
  /** The pool's memory, unless it is small. */
  readonly data: ArrayBuffer;
}

/** An input or output of a loaded model; `type` 0 if it is not a tensor. */
export interface AddonValueInfo {
  readonly name: string;
  readonly type: number;
  /** A dimension without a size is its name, which may be empty. */
  readonly shape: readonly (number | string)[];
}

/** A loaded model. Arguments are as TypeScript checked them: the addon only sees to memory safety. */
export interface AddonSession {
  readonly inputs: readonly AddonValueInfo[];
  readonly outputs: readonly AddonValueInfo[];
  /**
   * @param id A number that no other run of the session has that is under way.
   * @param sync Whether to run on this thread.
   * @returns A result for each output name; `undefined` where it was written into the given tensor, which is so for
   *   tensors in the pool's memory and in shared memory.
   */
  run(
    inputNames: readonly string[],
    inputs: readonly AddonTensor[],
    outputNames: readonly string[],
    outputs: readonly (AddonTensor | undefined)[],
    id: number,
    sync: boolean,
  ): Promise<readonly (AddonResult | undefined)[]>;
  /** Makes a run reject as soon as the current node has ended. No effect on a run that has ended. */
  terminate(id: number): void;
  /** Writes the profile now, if the options asked for one. */
  endProfiling(): void;
  /** Frees the model once the runs that are under way have ended. */
  dispose(): void;
}

export interface AddonSessionOptions {
  /** 0: one per physical core. */
  readonly intraOpNumThreads: number;
  /** The same, for nodes side by side. */
  readonly interOpNumThreads: number;
  /** ExecutionMode of ONNX Runtime's C interface: 0 one node after the other, 1 several at once. */
  readonly executionMode: number;
  /** GraphOptimizationLevel of ONNX Runtime's C interface. */
  readonly graphOptimizationLevel: number;
  /** Whether the session's tensors lie in the pool. */
  readonly enableCpuMemArena: boolean;
  readonly enableMemPattern: boolean;
  /** From 0, everything, to 4, nothing but what ends the process. */
  readonly logSeverityLevel: number;
  /** Start of the profile's file name; empty for no profile. */
  readonly profilePrefix: string;
  /** Where the optimized model is written; empty for nowhere. */
  readonly optimizedModelPath: string;
  /** Sizes of symbolic dimensions by their names. */
  readonly freeDimensions: Readonly<Record<string, number>>;
  /** Further entries of ONNX Runtime's session configuration. */
  readonly config: Readonly<Record<string, string>>;
  /** The contents of files of external data, by their names in the model. */
  readonly externalFiles: Readonly<Record<string, Uint8Array>>;
}

export interface Addon {
  createSession(model: Uint8Array, options: AddonSessionOptions): Promise<AddonSession>;
  /** What the kernel computes with here: `avx512`, `avx2`, `neon` or `portable`. */
  instructionSet(): string;
  /** Returns zeros in the pool's memory, which all threads of the process share. */
  allocate(bytes: number): ArrayBuffer;
  /** Detaches a buffer, and gives its memory back if it is the pool's. Does nothing to a detached buffer. */
  release(buffer: ArrayBuffer): void;
  /** Sets how many bytes of free memory the pool keeps. */
  setPoolLimit(bytes: number): void;
  poolStatistics(): PoolStatistics;
}

/** What the pool of memory holds. */
export interface PoolStatistics {
  readonly usedBlocks: number;
  readonly usedBytes: number;
  readonly freeBlocks: number;
  readonly freeBytes: number;
  /** How often a free block was used again. */
  readonly reused: number;
}

/** How a binary came about: who built it, or who named it. */
export type AddonOrigin = 'prebuilt' | 'local build' | 'ONNX_GROUPNORM_ADDON';

/** A binary of the addon. */
export interface AddonBinary {
  readonly path: string;
  readonly origin: AddonOrigin;
}

/** The addon with its binary, or why it cannot be had. */
export type AddonState =
  | { readonly addon: Addon; readonly binary: AddonBinary; readonly problem?: undefined }
  | { readonly addon?: never; readonly binary?: never; readonly problem: ProviderProblem };

interface AddonModule extends Addon {
  /**
   * Takes the ONNX Runtime that the process has loaded already, or loads the library at `path`.
   * @returns Its version.
   */
  loadLibrary(path: string): string;
}

const require = createRequire(import.meta.url);
let state: AddonState | undefined;

/**
 * Loads the addon on its first call. `ONNX_GROUPNORM_ADDON` in the environment may be the path of another binary, such
 * as a binary built with a sanitizer, or `skip`, which leaves the addon out.
 */
export function loadAddon(): AddonState {
  state ??= tryLoad();
  return state;
}

function tryLoad(): AddonState {
  const asked = process.env.ONNX_GROUPNORM_ADDON;
  if (asked === 'skip') {
    return { problem: { reason: 'ONNX_GROUPNORM_ADDON=skip is set in the environment' } };
  }
  const folder = packageFolder();
  if (folder === undefined) return { problem: NOT_INSTALLED };
  const musl = muslProblem();
  if (musl) return { problem: musl };
  if (asked !== undefined) return tryBinary({ path: asked, origin: 'ONNX_GROUPNORM_ADDON' }, OTHER_BINARY);
  const load = (binary: AddonBinary) => tryBinary(binary, howToBuild(folder, true));
  return firstToLoad(binariesIn(folder), load) ?? { problem: whyNotBuilt(folder) };
}

/** Returns the first state with an addon, or the first problem. A second addon in the process makes runs slower. */
export function firstToLoad(
  binaries: readonly AddonBinary[],
  load: (binary: AddonBinary) => AddonState,
): AddonState | undefined {
  let problem: AddonState | undefined;
  for (const binary of binaries) {
    const state = load(binary);
    if (state.addon) return state;
    problem ??= state;
  }
  return problem;
}

const NOT_INSTALLED: ProviderProblem = {
  reason:
    'the package onnx-groupnorm is not installed beside this code, for example because the code was bundled',
  remedy:
    "exclude onnx-groupnorm from the bundle, with esbuild by '--external:onnx-groupnorm', and install the package",
};

/** Returns the addon's folder; undefined in a bundle without the package. */
function packageFolder(): string | undefined {
  try {
    return join(dirname(require.resolve('onnx-groupnorm/package.json')), 'native');
  } catch {
    return undefined;
  }
}

const OTHER_BINARY = 'set ONNX_GROUPNORM_ADDON to a binary that loads, or unset it';

function tryBinary(binary: AddonBinary, remedy: string): AddonState {
  try {
    const addon = require(binary.path) as AddonModule;
    addon.loadLibrary(toNamespacedPath(onnxRuntimeLibrary()));
    return { addon, binary };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { problem: { reason: `${binary.path} cannot be loaded: ${message}`, remedy } };
  }
}

/**
 * Returns the binaries that exist, best first: a local build before the binary that came with the package. An install
 * script that ran and has left a log found that the prebuilt binary does not work here, or was told to leave it out.
 */
export function binariesIn(folder: string): AddonBinary[] {
  const name = 'onnx_groupnorm.node';
  const local: AddonBinary = { path: join(folder, 'build', 'Release', name), origin: 'local build' };
  const path = join(folder, 'prebuilt', `${process.platform}-${process.arch}`, name);
  const prebuilt: AddonBinary[] = existsSync(installLog(folder)) ? [] : [{ path, origin: 'prebuilt' }];
  return [local, ...prebuilt].filter((binary) => existsSync(binary.path));
}

const installLog = (folder: string): string => join(folder, 'build', 'install.log');

/** Says why a folder has no binary, and how to get one. */
export function whyNotBuilt(folder: string): ProviderProblem {
  const log = installLog(folder);
  const platform = `${process.platform}-${process.arch}`;
  const ran = existsSync(log);
  const reason = ran
    ? `it was not built: ${readFileSync(log, 'utf8').split('\n')[0]} (${log} has the whole story)`
    : `there is no prebuilt binary for ${platform}, and the package manager did not run the install script of ` +
      'onnx-groupnorm, which builds a binary';
  // There the install script says that it cannot be built.
  return process.platform === 'win32' ? { reason } : { reason, remedy: howToBuild(folder, ran) };
}
