/**
 * The providers of onnxruntime-node beside the CPU, where its build for the platform has them and the machine has the
 * hardware. Each passes the self-test in a child process first: a library of the wrong version may end the process.
 */
import { createRequire } from 'node:module';
import type { Backend, ProviderProblem } from '../core/contract.js';
import { cudnnRemedy } from '../core/errors.js';
import { SELF_TEST_INPUT, selfTestModel, selfTestProblem } from '../session/self-test.js';
import { lastMessage, runInChild } from './child-process.js';
import { DOWNLOAD, failureRemedy, isOnCuda, missingForCuda } from './cuda.js';
import { nodeRuntime } from './installation.js';
import { loadOnnxRuntime, nativeBinding } from './load.js';
import { loadOnNode } from './model.js';
import { loadWithPlacementCheck } from './placement.js';
import { warnOfTf32, warnOfWorker } from './workarounds.js';

/** A provider that onnxruntime-node may have. */
export type Accelerator = 'cuda' | 'tensorrt' | 'webgpu' | 'coreml' | 'dml';

/** ONNX Runtime's own names, and what to do if the self-test fails although nothing is known to be missing. */
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
        ? "it needs a GPU and Vulkan: install the GPU's driver and its Vulkan loader (Ubuntu: sudo apt install libvulkan1)"
        : 'it needs a GPU: install its newest driver',
  },
  coreml: { runtimeName: 'CoreMLExecutionProvider', remedy: 'it needs macOS 10.15 or later' },
  dml: {
    runtimeName: 'DmlExecutionProvider',
    remedy: 'it needs a GPU with DirectX 12: install its newest driver',
  },
};

/** The problems of the providers that were checked: each is checked once in a process. */
const checked = new Map<Accelerator, Promise<readonly ProviderProblem[]>>();

/** Returns the backend of a provider. */
export const acceleratorBackend = (provider: Accelerator): Backend => ({
  provider,
  hasGroupNormKernel: false,
  takesBfloat16: false,
  takesOptionalInputs: false,
  whyUnavailable() {
    const problems = checked.get(provider) ?? findProblems(provider);
    checked.set(provider, problems);
    return problems;
  },
  load(model, externalDataFolder, options, providerOptions) {
    if (isOnCuda(provider)) warnOfTf32();
    warnOfWorker();
    return loadWithPlacementCheck(ACCELERATORS[provider].runtimeName, options, (all) =>
      loadOnNode(provider, model, externalDataFolder, { ...all, providerOptions }),
    );
  },
});

async function findProblems(provider: Accelerator): Promise<ProviderProblem[]> {
  const { problem } = await loadOnnxRuntime();
  if (problem !== undefined) return [problem];
  const has = (await nativeBinding()).backends.map(({ name }) => name);
  if (!has.includes(provider)) {
    const platform = `${process.platform}-${process.arch}`;
    return [{ reason: `onnxruntime-node has no ${provider} for ${platform}; it has: ${has.join(', ')}` }];
  }
  const missing = isOnCuda(provider) ? await missingForCuda(provider, nodeRuntime()) : [];
  if (missing.length > 0) return missing;
  const reason = await selfTestInChild(provider);
  return reason === undefined ? [] : [{ reason, remedy: remedyFor(provider, reason) }];
}

const SELF_TEST_PROGRAM = new URL('self-test-child.cjs', import.meta.url);
/** CUDA takes some seconds to start if its kernels have yet to be compiled for the GPU. */
const SELF_TEST_MILLISECONDS = 120_000;

/**
 * Runs the self-test in a child process, on one provider of onnxruntime-node without ONNX Runtime's fallback to the CPU.
 * @returns The problem, in the runtime's words; `undefined` if the provider works.
 */
export async function selfTestInChild(name: string): Promise<string | undefined> {
  const library = createRequire(import.meta.url).resolve('onnxruntime-node');
  const input = [SELF_TEST_INPUT.dims, [...SELF_TEST_INPUT.data]].map((value) => JSON.stringify(value));
  const { stdout, stderr, end } = await runInChild(SELF_TEST_PROGRAM, [library, name, ...input], {
    input: selfTestModel('reduce-mean'),
    milliseconds: SELF_TEST_MILLISECONDS,
  });
  const line = stdout.split('\n').find((text) => text.startsWith('{"'));
  if (line === undefined) return `the self-test in a child process ended with ${end}${lastMessage(stderr)}`;
  const { result, error } = JSON.parse(line) as { result?: number[]; error?: string };
  if (result) return selfTestProblem(result);
  // ONNX Runtime's log on stderr says more than the error that it throws.
  const detail = /Failed to load library \S+ with error: (.*)/.exec(stderr)?.[1];
  return detail ?? withoutSource(error ?? 'it failed');
}

/** Returns a message of ONNX Runtime without the source files and conditions that it may begin or end with. */
export const withoutSource = (message: string): string =>
  (/\b(?:CUDA|CUDNN|CUBLAS) failure .*?(?= *; GPU=|$)/.exec(message)?.[0] ?? message)
    .replace(/^\S+\.(?:cc|h):\d+ .* was false\. /, '')
    .trim();

/** Returns what to do after a failed self-test. */
export const remedyFor = (provider: Accelerator, reason: string): string =>
  /cudnn/i.test(reason) ? cudnnRemedy('9') : (failureRemedy(reason) ?? ACCELERATORS[provider].remedy);
