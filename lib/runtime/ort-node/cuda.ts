/** The parts of CUDA and TensorRT that are missing on this machine, in the order in which to install them. */
import { execFile } from 'node:child_process';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ProviderProblem } from '../core/contract.js';
import { cudnnRemedy } from '../core/errors.js';
import { runInChild } from './child-process.js';
import type { InstalledRuntime } from './installation.js';

/** The providers that run on CUDA. */
export type CudaProvider = 'cuda' | 'tensorrt';

export const isOnCuda = (provider: string): provider is CudaProvider =>
  provider === 'cuda' || provider === 'tensorrt';

/**
 * Returns what is missing for a provider.
 * @param signs Files of which one exists if there is a driver.
 */
export async function missingForCuda(
  provider: CudaProvider,
  { folder, version }: InstalledRuntime,
  signs: readonly string[] = DRIVER_SIGNS,
): Promise<ProviderProblem[]> {
  const problems: ProviderProblem[] = [];
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
  // Without the driver its library is missing too, which is not a second problem.
  return [...problems, ...describeMissing(report.replace(/^.*libcuda\.so\.1.*$/gm, ''))];
}

/** The files of a driver: of NVIDIA's kernel module, of its device, and of Windows' GPU under WSL. */
const DRIVER_SIGNS = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg'];

/** The oldest driver for each version of CUDA. Source: CUDA's release notes, minor version compatibility. */
const MIN_DRIVER: Readonly<Record<string, number>> = { 11: 450, 12: 525, 13: 580 };

/** Returns the kernel module's description of itself; empty without a driver. */
function driverVersion(signs: readonly string[]): string {
  const file = signs.find((path) => path.endsWith('/version') && existsSync(path));
  return file === undefined ? '' : readFileSync(file, 'utf8');
}

/**
 * Returns the problem of a driver that is older than the CUDA of the provider; an empty list if it is new enough or
 * unknown.
 * @param report The output of ldd for the provider's library.
 * @param said The content of /proc/driver/nvidia/version.
 */
export function oldDriver(report: string, said: string): ProviderProblem[] {
  const cuda = cudaVersion(report);
  const [, driver, major] = /Kernel Module.*?\s((\d+)\.[\d.]+)/.exec(said) ?? [];
  const least = cuda === undefined ? undefined : MIN_DRIVER[cuda];
  if (least === undefined || major === undefined || Number(major) >= least) return [];
  const reason = `the NVIDIA driver is ${driver}, and CUDA ${cuda} takes ${least} or later`;
  return [{ reason, remedy: DRIVER_REMEDY }];
}

/** Returns the version of CUDA, which these libraries are named after; libcurand and libcufft have their own. */
const cudaVersion = (report: string): string | undefined =>
  /lib(?:cudart|cublas|cublasLt)\.so\.(\d+)/.exec(report)?.[1];

/** Returns what the dynamic loader says about a library; empty if the system has no ldd. */
const loaderReport = (library: string): Promise<string> =>
  new Promise((resolve) => {
    execFile('ldd', [library], (_, stdout, stderr) => resolve(`${stdout}\n${stderr}`));
  });

const CUDA_LIBRARY = /^lib(?:cudart|cublas|cublasLt|cufft|curand|nvrtc|nvJitLink)\.so\.(\d+)/;

/** The products that libraries belong to. CUDA's are reported under CUDA's version, which not all of them bear. */
const FAMILIES: readonly { readonly of: RegExp; readonly describe: (version: string) => ProviderProblem }[] =
  [
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
 * Returns what ldd does not find: each product once, then the libraries of unknown products.
 * @param report The output of ldd: `libcudnn.so.9 => not found` (glibc) or `Error loading shared library libcudnn.so.9` (musl).
 */
export function describeMissing(report: string): ProviderProblem[] {
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
    // The process has loaded ONNX Runtime's own library before the provider's needs it.
    (name) => !FAMILIES.some(({ of }) => of.test(name)) && !name.startsWith('libonnxruntime'),
  );
  return others.length === 0 ? known : [...known, { reason: `not found: ${others.join(', ')}` }];
}

/** A version, as the libraries hold it between two zero bytes. */
const VERSION = /\0(1\.\d{1,2}\.\d{1,2})(?=\0)/g;
const CHUNK = 4 << 20;
/** The bytes of one chunk that the next chunk repeats: a version with its zeros is not longer. */
const OVERLAP = 16;

/**
 * Returns what keeps a provider's library from being loaded; `undefined` if nothing does. A library that is cut off
 * ends the process with a bus error, and ONNX Runtime loads one of another version without an error.
 * @param version The version of onnxruntime-node.
 */
export async function problemOfLibrary(path: string, version: string): Promise<ProviderProblem | undefined> {
  const name = basename(path);
  const remedy = `lay the ${name} of ONNX Runtime ${version} there: ${DOWNLOAD}`;
  if (!(await isWhole(path)))
    return { reason: `${name} is damaged: it is not a library, or cut off`, remedy };
  const versions = await versionsIn(path);
  if (versions.size === 0 || versions.has(version)) return undefined;
  const others = [...versions].join(' or ');
  return { reason: `${name} is of ONNX Runtime ${others}, and onnxruntime-node of ${version}`, remedy };
}

/** Whether a file is 64-bit little-endian ELF, and reaches to its end, which is the section table. */
async function isWhole(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const header = Buffer.alloc(64);
    const { bytesRead } = await file.read(header, 0, header.length, 0);
    if (bytesRead < header.length || header.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return false;
    const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
    return (await file.stat()).size >= end;
  } finally {
    await file.close();
  }
}

async function versionsIn(path: string): Promise<Set<string>> {
  const found = new Set<string>();
  let rest = '';
  for await (const chunk of createReadStream(path, { encoding: 'latin1', highWaterMark: CHUNK })) {
    const text = rest + (chunk as string);
    for (const [, version] of text.matchAll(VERSION)) found.add(version!);
    rest = text.slice(-OVERLAP);
  }
  return found;
}

/** The version of cuDNN that ONNX Runtime from 1.29 on loads when the first convolution needs it. */
const CUDNN_VERSION = '9';

/**
 * Returns the problem if cuDNN is missing; `undefined` if it is installed.
 * @param canLoad Whether the dynamic loader finds a library.
 */
export async function missingCudnn(canLoad = loadsInChild): Promise<ProviderProblem | undefined> {
  if (await canLoad(`libcudnn.so.${CUDNN_VERSION}`)) return undefined;
  return {
    reason: `cuDNN ${CUDNN_VERSION} is not found, and convolutions need it: a model that has some does not run on CUDA`,
    remedy: cudnnRemedy(CUDNN_VERSION),
  };
}

const LOAD_PROGRAM = new URL('load-library-child.cjs', import.meta.url);

/** Whether the dynamic loader finds a library. A child process loads it: Node then says that it is not an addon. */
export async function loadsInChild(library: string): Promise<boolean> {
  const { stdout, end } = await runInChild(LOAD_PROGRAM, [library], { milliseconds: 30_000 });
  return end === 'status 0' && stdout.includes('did not self-register');
}

/** Runs onnxruntime-node's install script, which npm skips if a setting or `allowScripts` says so. */
export const DOWNLOAD = 'ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install.js';

const DRIVER_REMEDY =
  "install NVIDIA's driver (Ubuntu: sudo ubuntu-drivers install), and start a container with --gpus all; " +
  'nvidia-smi then lists the GPU';

/**
 * Returns how to get the provider's libraries. Machines that cannot reach the install script's host find them on PyPI,
 * in Microsoft's build of the same version for Python.
 * @param folder The folder of libonnxruntime.so.1.
 */
const librariesRemedy = (version: string, folder: string): string =>
  `run '${DOWNLOAD}', which downloads it; or, on linux-x64, take it out of PyPI's onnxruntime-gpu: ` +
  `'pip install --no-deps --target ort-gpu onnxruntime-gpu==${version} && ` +
  `cp ort-gpu/onnxruntime/capi/libonnxruntime_providers_*.so ${folder}'`;

/** What to do about failures of CUDA, by their number. Source: cudaError_t. */
const FAILURES: Readonly<Record<string, string>> = {
  35: `the driver is older than the CUDA of the provider: ${DRIVER_REMEDY}`,
  100: `nvidia-smi must list a GPU, and CUDA_VISIBLE_DEVICES not hide it: start a container with --gpus all`,
  803: `restart the machine: the driver in the kernel and its libraries are of two versions`,
};

/** Returns what to do about a failure of CUDA; `undefined` if its number does not say. */
export const failureRemedy = (reason: string): string | undefined =>
  FAILURES[/\bCUDA failure (\d+)/.exec(reason)?.[1] ?? ''];
