import { execFile } from 'node:child_process';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Problem } from '../core/contract.js';
import { cudnnRemedy } from '../core/errors.js';
import { inOtherProcess } from './child-process.js';

/** What to do about parts of CUDA that are missing. */

/** onnxruntime-node's install script, by itself: npm does not run it where a setting or `allowScripts` says so. */
export const DOWNLOAD = 'ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install.js';

export const DRIVER_REMEDY =
  "install NVIDIA's driver (Ubuntu: sudo ubuntu-drivers install), and start a container with --gpus all; " +
  'nvidia-smi then lists the GPU';

/**
 * Where the provider's libraries are had from. PyPI has them in Microsoft's build of the same version for Python, for
 * machines that cannot reach what the install script downloads from.
 * @param folder Where onnxruntime-node has libonnxruntime.so.1.
 */
export const librariesRemedy = (version: string, folder: string): string =>
  `run '${DOWNLOAD}', which downloads it; or, on linux-x64, take it out of PyPI's onnxruntime-gpu: ` +
  `'pip install --no-deps --target ort-gpu onnxruntime-gpu==${version} && ` +
  `cp ort-gpu/onnxruntime/capi/libonnxruntime_providers_*.so ${folder}'`;

/** By the number that CUDA gives a failure, where that says what to do. Source: cudaError_t. */
const FAILURES: Readonly<Record<string, string>> = {
  35: `the driver is older than the CUDA of the provider: ${DRIVER_REMEDY}`,
  100: `nvidia-smi must list a GPU, and CUDA_VISIBLE_DEVICES not hide it: start a container with --gpus all`,
  803: `restart the machine: the driver in the kernel and its libraries are of two versions`,
};

export const failureRemedy = (reason: string): string | undefined =>
  FAILURES[/\bCUDA failure (\d+)/.exec(reason)?.[1] ?? ''];

// SECTION: cuDNN, which ONNX Runtime from 1.29 on looks for when the first convolution needs it; all else runs without.

/** The version that ONNX Runtime asks the dynamic loader for. */
const CUDNN_VERSION = '9';

/**
 * @param canLoad Whether the dynamic loader finds a library.
 * @returns What is missing; nothing if it is there.
 */
export async function missingCudnn(canLoad = loadsElsewhere): Promise<Problem | undefined> {
  if (await canLoad(`libcudnn.so.${CUDNN_VERSION}`)) return undefined;
  return {
    reason: `cuDNN ${CUDNN_VERSION} is not found, and convolutions need it: a model that has some does not run on CUDA`,
    remedy: cudnnRemedy(CUDNN_VERSION),
  };
}

const PROGRAM = `
try {
  process.dlopen({ exports: {} }, process.argv.at(-1));
} catch (error) {
  console.log(error.message);
}
`;

/** In a process of its own, which the library may end. Node says of one that it could load that it is not an addon. */
export async function loadsElsewhere(library: string): Promise<boolean> {
  const { stdout, end } = await inOtherProcess(PROGRAM, [library], { milliseconds: 30_000 });
  return end === 'status 0' && stdout.includes('did not self-register');
}

// SECTION:
// The library of a provider, looked into before a process loads it: one that is cut off ends the process with a bus
// error, and ONNX Runtime takes one of another version without a word.

/** A version as the libraries hold it, between two zeros. */
const VERSION = /\0(1\.\d{1,2}\.\d{1,2})(?=\0)/g;
const CHUNK = 4 << 20;
/** No version is longer than this, with its zeros. */
const OVERLAP = 16;

/**
 * What keeps a library of ONNX Runtime from being loaded.
 * @param version That of onnxruntime-node.
 */
export async function problemOfLibrary(path: string, version: string): Promise<Problem | undefined> {
  const name = basename(path);
  const remedy = `lay the ${name} of ONNX Runtime ${version} there: ${DOWNLOAD}`;
  if (!(await isWhole(path)))
    return { reason: `${name} is damaged: it is not a library, or cut off`, remedy };
  const versions = await versionsIn(path);
  if (versions.size === 0 || versions.has(version)) return undefined;
  const others = [...versions].join(' or ');
  return { reason: `${name} is of ONNX Runtime ${others}, and onnxruntime-node of ${version}`, remedy };
}

/** Whether a file of ELF, 64 bits, little-endian, reaches to its section table, which is the last thing in it. */
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

// SECTION: What CUDA and TensorRT need on this machine, in the order in which to install it.

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
