/** A provider that is tried in a process of its own, because a library of the wrong version may end the process. */
import { createRequire } from 'node:module';
import type { Backend, Problem } from '../core/contract.js';
import { cudnnRemedy } from '../core/errors.js';
import { PROBE_INPUT, probeModel, whyWrong } from '../core/self-test.js';
import { inOtherProcess, lastOf } from './child-process.js';
import { DOWNLOAD, failureRemedy, isOnCuda, missingForCuda } from './cuda.js';
import { nativeBinding, nodeRuntime } from './installation.js';
import { loadOnNode } from './model.js';
import { loadVerified } from './placement.js';

/** CUDA takes some seconds to start where its kernels are still to be compiled for the GPU. */
const MAX_MILLISECONDS = 120_000;

/**
 * What the other process runs. `disable_cpu_ep_fallback` makes ONNX Runtime refuse a model of which it would run any
 * node on the CPU instead.
 */
const PROGRAM = `
// Deno puts a name for the program before the arguments.
const [path, name, dims, data] = process.argv.slice(-4);
const ort = require(path);
const chunks = [];
process.stdin.on('data', (chunk) => chunks.push(chunk)).on('end', async () => {
  try {
    const session = await ort.InferenceSession.create(Buffer.concat(chunks), {
      executionProviders: [name],
      logSeverityLevel: 4,
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    });
    const x = new ort.Tensor('float32', Float32Array.from(JSON.parse(data)), JSON.parse(dims));
    const { y } = await session.run({ x });
    console.log(JSON.stringify({ result: [...y.data] }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
  process.exit();
});
`;

/**
 * Runs a small model on a provider of onnxruntime-node and on no other.
 * @returns Why it does not work, as the runtime says it; nothing if it does.
 */
export async function tryProvider(name: string): Promise<string | undefined> {
  const library = createRequire(import.meta.url).resolve('onnxruntime-node');
  const input = [PROBE_INPUT.dims, [...PROBE_INPUT.data]].map((value) => JSON.stringify(value));
  const { stdout, stderr, end } = await inOtherProcess(PROGRAM, [library, name, ...input], {
    input: probeModel('reduce-mean'),
    milliseconds: MAX_MILLISECONDS,
  });
  const line = stdout.split('\n').find((text) => text.startsWith('{"'));
  if (line === undefined) return `a trial in a process of its own ended with ${end}${lastOf(stderr)}`;
  const { result, error } = JSON.parse(line) as { result?: number[]; error?: string };
  if (result) return whyWrong(result);
  // The message that ONNX Runtime throws says less than what it writes beside it.
  const detail = /Failed to load library \S+ with error: (.*)/.exec(stderr)?.[1];
  return detail ?? withoutSource(error ?? 'it failed');
}

/** Without the places in ONNX Runtime's sources, and the conditions there, that a message may begin or end with. */
export const withoutSource = (message: string): string =>
  (/\b(?:CUDA|CUDNN|CUBLAS) failure .*?(?= *; GPU=|$)/.exec(message)?.[0] ?? message)
    .replace(/^\S+\.(?:cc|h):\d+ .* was false\. /, '')
    .trim();

// SECTION: Providers of onnxruntime-node that its build for this platform may have, and this machine the hardware for.

/** A provider that onnxruntime-node may have. */
export type Accelerator = 'cuda' | 'tensorrt' | 'webgpu' | 'coreml' | 'dml';

/** ONNX Runtime's own names, and what to do where a trial fails that nothing was seen to be missing for. */
const ACCELERATORS: Record<Accelerator, { readonly runtimeName: string; readonly remedy: string }> = {
  cuda: {
    runtimeName: 'CUDAExecutionProvider',
    remedy:
      'the driver must be as new as CUDA, and the provider library of the same version as libonnxruntime.so.1: ' +
      DOWNLOAD,
  },
  tensorrt: {
    runtimeName: 'TensorrtExecutionProvider',
    remedy: 'the versions of TensorRT, CUDA and the driver must fit: see whether cuda is usable first',
  },
  webgpu: {
    runtimeName: 'WebGpuExecutionProvider',
    remedy:
      process.platform === 'linux'
        ? "it takes a GPU and Vulkan: install the GPU's driver and its Vulkan loader (Ubuntu: sudo apt install libvulkan1)"
        : 'it takes a GPU: install its newest driver',
  },
  coreml: { runtimeName: 'CoreMLExecutionProvider', remedy: 'it takes macOS 10.15 or later' },
  dml: {
    runtimeName: 'DmlExecutionProvider',
    remedy: 'it takes a GPU with DirectX 12: install its newest driver',
  },
};

const found = new Map<Accelerator, Promise<readonly Problem[]>>();

/** A provider of onnxruntime-node. Whether it can be used is found out once in a process. */
export const acceleratorBackend = (provider: Accelerator): Backend => ({
  provider,
  hasGroupNormKernel: false,
  takesBfloat16: false,
  whyUnavailable() {
    const problems = found.get(provider) ?? findProblems(provider);
    found.set(provider, problems);
    return problems;
  },
  load(model, externalDataFolder, options) {
    if (isOnCuda(provider)) keepFloat32();
    return loadVerified(ACCELERATORS[provider].runtimeName, options, (all) =>
      loadOnNode(provider, model, externalDataFolder, all),
    );
  },
});

/**
 * ONNX Runtime has CUDA round the inputs of float32 convolutions and products to 10 bits (TF32, its `use_tf32`), which
 * no tolerance of float32 allows, and onnxruntime-node cannot pass that option. NVIDIA's libraries obey this variable
 * over their callers, and read it when they are first used.
 */
export function keepFloat32(env: NodeJS.ProcessEnv = process.env): void {
  env['NVIDIA_TF32_OVERRIDE'] ??= '0';
}

async function findProblems(provider: Accelerator): Promise<Problem[]> {
  const { error, backends } = await nativeBinding();
  if (error !== undefined) return [{ reason: `onnxruntime-node cannot be loaded: ${error}` }];
  const has = backends.map(({ name }) => name);
  if (!has.includes(provider)) {
    const platform = `${process.platform}-${process.arch}`;
    return [{ reason: `onnxruntime-node has no ${provider} for ${platform}; it has: ${has.join(', ')}` }];
  }
  const missing = isOnCuda(provider) ? await missingForCuda(provider, nodeRuntime()) : [];
  if (missing.length > 0) return missing;
  const reason = await tryProvider(provider);
  return reason === undefined ? [] : [{ reason, remedy: remedyFor(provider, reason) }];
}

/** What to do where a trial failed. */
export const remedyFor = (provider: Accelerator, reason: string): string =>
  /cudnn/i.test(reason) ? cudnnRemedy('9') : (failureRemedy(reason) ?? ACCELERATORS[provider].remedy);
