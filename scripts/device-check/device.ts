/** What this machine is, as far as it bears on the figures. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename } from 'node:path';
import type { Provider } from '../../lib/index.js';
import { installedPackages } from '../../lib/runtime/diagnose.js';
import type { Device } from './report.js';

const FIELDS = {
  name: 'name',
  driver: 'driver_version',
  memory: 'memory.total',
  'compute capability': 'compute_cap',
};
const LIBRARIES =
  /^lib(?:onnxruntime|cudart|cublas|cublasLt|cudnn|cufft|curand|nvrtc|nvinfer|cuda)[\w.]*\.so/;

/** To be called when the provider has run, because of the libraries that are loaded by then. */
export function describeDevice(provider: Provider): Device {
  const gpu = provider === 'cuda' || provider === 'tensorrt' ? describeGpu() : undefined;
  const { name = cpus()[0]?.model ?? 'unknown', ...details } = gpu ?? {};
  return {
    name,
    details,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    packages: Object.fromEntries(
      installedPackages().map((one) => [one.name, one.version ?? 'not installed']),
    ),
    libraries: loadedLibraries(),
  };
}

function describeGpu(): Record<string, string> {
  try {
    const query = Object.values(FIELDS).join();
    return parseGpu(
      execFileSync('nvidia-smi', [`--query-gpu=${query}`, '--format=csv,noheader'], { encoding: 'utf8' }),
    );
  } catch (error) {
    return { name: 'NVIDIA GPU', 'nvidia-smi': `did not run: ${(error as Error).message.split('\n')[0]}` };
  }
}

/** The first line of nvidia-smi's CSV: ONNX Runtime takes the first GPU. */
export function parseGpu(csv: string): Record<string, string> {
  const values = csv
    .split('\n')[0]!
    .split(',')
    .map((text) => text.trim());
  return Object.fromEntries(Object.keys(FIELDS).map((key, index) => [key, values[index] || 'unknown']));
}

/** The libraries in this process by the names of their files, which on Linux carry their full versions. */
function loadedLibraries(): string[] {
  if (!existsSync('/proc/self/maps')) return [];
  const paths = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .map((line) => line.slice(line.indexOf('/')).trim())
    .filter((path) => path.startsWith('/') && LIBRARIES.test(basename(path)) && existsSync(path));
  return [...new Set(paths.map((path) => basename(realpathSync(path))))].sort();
}

/** `NVIDIA H100 80GB HBM3` as part of a file's name. */
export const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
