/** What CUDA and TensorRT need on this machine, in the order in which to install it. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from './backend.js';
import { cudnnRemedy, DRIVER_REMEDY, librariesRemedy } from './cuda-remedies.js';
import { problemOfLibrary } from './provider-library.js';

/** Where a driver shows itself: NVIDIA's kernel module and its device, or the GPU of Windows under WSL. */
const DRIVER_SIGNS = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg'];

/** The first driver that runs programs of a CUDA. Source: CUDA's release notes, minor version compatibility. */
const MIN_DRIVER: Readonly<Record<string, number>> = { 11: 450, 12: 525, 13: 580 };

/** onnxruntime-node's own. */
export interface Runtime {
  /** Where it has libonnxruntime.so.1. */
  readonly folder: string;
  readonly version: string;
}

/** The providers that run on CUDA. */
export type CudaProvider = 'cuda' | 'tensorrt';

export const isOnCuda = (provider: string): provider is CudaProvider =>
  provider === 'cuda' || provider === 'tensorrt';

/** What is missing for one of them. */
export async function missingForCuda(
  provider: CudaProvider,
  { folder, version }: Runtime,
  signs: readonly string[] = DRIVER_SIGNS,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  if (!signs.some((path) => existsSync(path))) {
    problems.push({
      reason: `there is no NVIDIA driver: no ${signs.join(' and no ')}`,
      remedy: DRIVER_REMEDY,
    });
  }
  const files = ['shared', provider].map((part) => `libonnxruntime_providers_${part}.so`);
  const absent = files.filter((file) => !existsSync(join(folder, file)));
  if (absent.length > 0) {
    const remedy = librariesRemedy(version, folder);
    return [...problems, { reason: `${absent.join(' and ')} not in ${folder}`, remedy }];
  }
  for (const file of files) {
    const problem = await problemOfLibrary(join(folder, file), version);
    if (problem) return [...problems, problem];
  }
  const report = await loaderReport(join(folder, files[1]!));
  if (problems.length === 0) return [...oldDriver(report, driverVersion(signs)), ...describeMissing(report)];
  // Without the driver there is no library of it either.
  return [...problems, ...describeMissing(report.replace(/^.*libcuda\.so\.1.*$/gm, ''))];
}

/** What the kernel module says of itself, where it does. */
function driverVersion(signs: readonly string[]): string {
  const file = signs.find((path) => path.endsWith('/version') && existsSync(path));
  return file === undefined ? '' : readFileSync(file, 'utf8');
}

/**
 * A driver that is there, and older than the CUDA that the provider was built for.
 * @param report ldd's of the provider.
 * @param said The content of /proc/driver/nvidia/version.
 */
export function oldDriver(report: string, said: string): Problem[] {
  const cuda = cudaVersion(report);
  const [, driver, major] = /Kernel Module.*?\s((\d+)\.[\d.]+)/.exec(said) ?? [];
  const least = cuda === undefined ? undefined : MIN_DRIVER[cuda];
  if (least === undefined || major === undefined || Number(major) >= least) return [];
  const reason = `the NVIDIA driver is ${driver}, and CUDA ${cuda} takes ${least} or later`;
  return [{ reason, remedy: DRIVER_REMEDY }];
}

/** The libraries that are named after CUDA's version; libcurand and libcufft count their own. */
const cudaVersion = (report: string): string | undefined =>
  /lib(?:cudart|cublas|cublasLt)\.so\.(\d+)/.exec(report)?.[1];

/** What the dynamic loader says of a library; empty where there is no ldd to ask. */
const loaderReport = (library: string): Promise<string> =>
  new Promise((resolve) => {
    execFile('ldd', [library], (_, stdout, stderr) => resolve(`${stdout}\n${stderr}`));
  });

const CUDA_LIBRARY = /^lib(?:cudart|cublas|cublasLt|cufft|curand|nvrtc|nvJitLink)\.so\.(\d+)/;

/** The libraries by what they come with; CUDA's own by its version, which not all of them bear. */
const FAMILIES: readonly { readonly of: RegExp; readonly describe: (version: string) => Problem }[] = [
  {
    of: /^libcuda\.so\.(\d+)/,
    describe: () => ({ reason: "the driver's library libcuda.so.1 is not found", remedy: DRIVER_REMEDY }),
  },
  {
    of: CUDA_LIBRARY,
    describe: (version) => ({
      reason: `the libraries of CUDA ${version} are not found`,
      remedy: `install CUDA ${version} (Ubuntu with NVIDIA's repository: sudo apt install cuda-libraries-${version}-0), or put the folders of its libraries into LD_LIBRARY_PATH`,
    }),
  },
  {
    of: /^libcudnn\w*\.so\.(\d+)/,
    describe: (version) => ({
      reason: `the libraries of cuDNN ${version} are not found`,
      remedy: cudnnRemedy(version),
    }),
  },
  {
    of: /^libnv(?:infer|onnxparser)\w*\.so\.(\d+)/,
    describe: (version) => ({
      reason: `the libraries of TensorRT ${version} are not found`,
      remedy: `install TensorRT ${version} (NVIDIA's repository: sudo apt install libnvinfer${version} libnvonnxparsers${version})`,
    }),
  },
];

/**
 * What ldd reports as not found, each kind of library once, and last what is of no kind that is known here.
 * @param report ldd's output: `libcudnn.so.9 => not found` (glibc) or `Error loading shared library libcudnn.so.9` (musl).
 */
export function describeMissing(report: string): Problem[] {
  const names = [...report.matchAll(/^\s*(\S+) => not found|Error loading shared library (\S+?):/gm)];
  const missing = new Set(names.map(([, glibc, musl]) => glibc ?? musl!));
  const known = FAMILIES.flatMap(({ of, describe }) => {
    const versions = [...missing]
      .map((name) => of.exec(name)?.[1])
      .filter((version) => version !== undefined)
      .map((version) => (of === CUDA_LIBRARY ? (cudaVersion(report) ?? version) : version));
    return [...new Set(versions)].map(describe);
  });
  const others = [...missing].filter(
    // The provider's own part is found beside it once the process has loaded it.
    (name) => !FAMILIES.some(({ of }) => of.test(name)) && !name.startsWith('libonnxruntime'),
  );
  return others.length === 0 ? known : [...known, { reason: `not found: ${others.join(', ')}` }];
}
