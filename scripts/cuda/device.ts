/** Describes the parts of this machine that influence the figures. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, dirname } from 'node:path';
import type { Provider } from '../../lib/index.js';
import { isOnCuda } from '../../lib/runtime/ort-node/cuda.js';
import { installedPackages } from '../../lib/runtime/ort-node/installation.js';
import type { Device } from './report.js';

const FIELDS = {
  name: 'name',
  driver: 'driver_version',
  memory: 'memory.total',
  'compute capability': 'compute_cap',
};
/** Includes Vulkan's drivers, which tell a real GPU from a software one. */
const LIBRARIES =
  /^lib(?:onnxruntime|cudart|cublas|cublasLt|cudnn|cufft|curand|nvrtc|nvinfer|cuda|vulkan|vk_swiftshader|GLX_nvidia)[\w.]*\.so/;
/** ONNX Runtime's CUDA provider uses TF32 for float32 convolutions unless this is 0. */
const VARIABLES = ['NVIDIA_TF32_OVERRIDE'];

/** Returns the facts that are known before the provider has run. */
export function describeDevice(provider: Provider): Device {
  const { name, ...details } = describeProcessor(provider);
  return {
    name: name!,
    details,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    packages: Object.fromEntries(
      installedPackages().map((one) => [one.name, one.version ?? 'not installed']),
    ),
    libraries: [],
    environment: {},
  };
}

/** Describes the processor that computes. An unknown GPU must not appear under the processor's name. */
function describeProcessor(provider: Provider): Record<string, string> {
  if (isOnCuda(provider)) return describeGpu();
  const processor = cpus()[0]?.model ?? 'unknown';
  const isCpu = provider === 'cpu' || provider === 'native' || provider === 'wasm';
  return { name: isCpu ? processor : `unknown GPU (processor ${processor})` };
}

function describeGpu(): Record<string, string> {
  try {
    const query = Object.values(FIELDS).join();
    const args = [`--query-gpu=${query}`, '--format=csv,noheader'];
    return parseGpu(execFileSync('nvidia-smi', args, { encoding: 'utf8', timeout: 30_000 }));
  } catch (error) {
    return { name: 'NVIDIA GPU', 'nvidia-smi': `did not run: ${(error as Error).message.split('\n')[0]}` };
  }
}

/** Parses the first line of nvidia-smi's CSV, because ONNX Runtime uses the first GPU. */
export function parseGpu(csv: string): Record<string, string> {
  const values = csv
    .split('\n')[0]!
    .split(',')
    .map((text) => text.trim());
  return Object.fromEntries(Object.keys(FIELDS).map((key, index) => [key, values[index] || 'unknown']));
}

/** Returns the libraries in this process, and their file names, most of which contain the full version. */
export function loadedLibraries(): { readonly paths: string[]; readonly names: string[] } {
  if (!existsSync('/proc/self/maps')) return { paths: [], names: [] };
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
  const mapped = lines
    .filter((line) => line.includes('/'))
    .map((line) => line.slice(line.indexOf('/')).trim());
  const paths = [...new Set(mapped)]
    .filter((path) => LIBRARIES.test(basename(path)) && existsSync(path))
    .map((path) => realpathSync(path));
  return { paths, names: [...new Set(paths.map((path) => basename(path)))].sort() };
}

/** Finds NVIDIA's packages from PyPI by the folders of the libraries, whose names lack the full version. */
export function nvidiaPackages(paths: readonly string[]): Record<string, string> {
  const packages: Record<string, string> = {};
  for (const folder of new Set(paths.map(sitePackages))) {
    if (folder === undefined) continue;
    for (const name of readdirSync(folder)) {
      const found = /^(nvidia_\w+)-(.+)\.dist-info$/.exec(name);
      if (found) packages[found[1]!.replaceAll('_', '-')] = found[2]!;
    }
  }
  return packages;
}

/** Returns the folder above `nvidia/cudnn/lib/libcudnn.so.9`. */
const sitePackages = (path: string): string | undefined =>
  /^(.+)\/nvidia\/[^/]+\/lib$/.exec(dirname(path))?.[1];

export const environment = (): Record<string, string | null> =>
  Object.fromEntries(VARIABLES.map((name) => [name, process.env[name] ?? null]));

/** Returns a text such as `NVIDIA H100 80GB HBM3` as part of a file name. */
export const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
