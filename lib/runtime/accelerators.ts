/** Providers of onnxruntime-node that its build for this platform may have, and this machine the hardware for. */
import type { Backend, Problem } from './backend.js';
import { isOnCuda, missingForCuda } from './cuda-libraries.js';
import { cudnnRemedy, DOWNLOAD, failureRemedy } from './cuda-remedies.js';
import { nativeBinding, nodeRuntime } from './diagnose.js';
import { loadOnNode } from './onnxruntime-node.js';
import { loadVerified } from './placement.js';
import { tryProvider } from './trial.js';

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
