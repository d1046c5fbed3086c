/** What CUDA and TensorRT need on this machine, in the order in which to install it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from './backend.js';

/** Where a driver shows itself: NVIDIA's kernel module, or the GPU of Windows under WSL. */
const DRIVER_SIGNS = ['/proc/driver/nvidia/version', '/dev/dxg'];

const DRIVER_REMEDY =
  "install NVIDIA's driver (Ubuntu: sudo ubuntu-drivers install), and start a container with --gpus all; " +
  'nvidia-smi then lists the GPU';

const LIBRARIES_REMEDY =
  "delete the line 'onnxruntime-node-install=skip' from .npmrc, if it is there, and run " +
  "'npm rebuild onnxruntime-node', which downloads it; or lay the files of the same version of ONNX Runtime there";

/** What is missing for `cuda` or `tensorrt`. @param folder Where onnxruntime-node has libonnxruntime.so.1. */
export async function missingForCuda(
  provider: 'cuda' | 'tensorrt',
  folder: string,
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
    return [...problems, { reason: `${absent.join(' and ')} not in ${folder}`, remedy: LIBRARIES_REMEDY }];
  }
  const needed = describeMissing(await loaderReport(join(folder, files[1]!)));
  return [...problems, ...needed];
}

/** What the dynamic loader says of a library; empty where there is no ldd to ask. */
const loaderReport = (library: string): Promise<string> =>
  new Promise((resolve) => {
    execFile('ldd', [library], (_, stdout, stderr) => resolve(`${stdout}\n${stderr}`));
  });

/** The libraries by what they come with. */
const FAMILIES: readonly { readonly of: RegExp; readonly describe: (version: string) => Problem }[] = [
  {
    of: /^lib(?:cudart|cublas|cublasLt|cufft|curand|nvrtc|nvJitLink)\.so\.(\d+)/,
    describe: (version) => ({
      reason: `the libraries of CUDA ${version} are not found`,
      remedy: `install CUDA ${version} (Ubuntu with NVIDIA's repository: sudo apt install cuda-libraries-${version}-0), or put the folders of its libraries into LD_LIBRARY_PATH`,
    }),
  },
  {
    of: /^libcudnn\w*\.so\.(\d+)/,
    describe: (version) => ({
      reason: `the libraries of cuDNN ${version} are not found`,
      remedy: `install cuDNN ${version} for the same CUDA (NVIDIA's repository: sudo apt install cudnn${version}), or put the folder of its libraries into LD_LIBRARY_PATH`,
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
      .filter((version) => version !== undefined);
    return [...new Set(versions)].map(describe);
  });
  const others = [...missing].filter(
    // The provider's own part is found beside it once the process has loaded it.
    (name) => !FAMILIES.some(({ of }) => of.test(name)) && !name.startsWith('libonnxruntime'),
  );
  return others.length === 0 ? known : [...known, { reason: `not found: ${others.join(', ')}` }];
}
