/** onnxruntime-web on a GPU in a browser, which has to pass the self-test first. */
import { SessionError } from '../../errors.js';
import type { Backend, LoadedModel, ModelToLoad, ProviderProblem } from '../core/contract.js';
import { isLeftToCpu } from '../core/errors.js';
import { runSelfTest } from '../session/self-test.js';
import { fetchExternal, prepareEnvironment } from './browser.js';
import { loadOnWeb, type WebOptions } from './model.js';

let checked: Promise<readonly ProviderProblem[]> | undefined;

export const webgpuBackend: Backend = {
  provider: 'webgpu',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  takesOptionalInputs: false,
  readsWeightsInMemory: true,
  // Checked once in a page or worker.
  whyUnavailable: () => (checked ??= findProblems()),
  async load(model, folder, all, providerOptions) {
    const options = { ...all, providerOptions };
    try {
      return await load(model, folder, { ...options, cpuFallback: false });
    } catch (error) {
      if (!isLeftToCpu(error)) throw error;
    }
    // ONNX Runtime runs a part of this model on the CPU, and onnxruntime-web cannot tell how large that part is.
    return load(model, folder, options);
  },
};

async function load(
  model: ModelToLoad,
  folder: string | undefined,
  options: WebOptions,
): Promise<LoadedModel> {
  const ort = await import('onnxruntime-web/webgpu');
  prepareEnvironment(ort.env, options.intraOpNumThreads);
  const loaded = await loadOnWeb(ort, 'webgpu', model, options, { folder, read: fetchExternal });
  const device = (await ort.env.webgpu.device) as Device;
  const dtypes = [...loaded.inputs, ...loaded.outputs].map(({ dtype }) => dtype);
  if (dtypes.includes('float16') && !device.features.has('shader-f16')) {
    await loaded.dispose();
    throw new SessionError('PROVIDER_UNAVAILABLE', 'this GPU has no float16 (shader-f16): build in float32');
  }
  return loaded;
}

/** The part of GPUDevice that is used. */
interface Device {
  readonly features: { has(name: string): boolean };
}

/** The part of `navigator.gpu` that is used. */
interface Gpu {
  requestAdapter(): Promise<unknown>;
}

async function findProblems(): Promise<readonly ProviderProblem[]> {
  const { gpu } = (globalThis as { navigator?: { gpu?: Gpu } }).navigator ?? {};
  if (!gpu) return [{ reason: 'this browser has no WebGPU, or this page is not from https or localhost' }];
  try {
    if ((await gpu.requestAdapter()) === null) {
      return [{ reason: 'there is no GPU that this browser would use', remedy: "update the GPU's driver" }];
    }
  } catch (error) {
    return [{ reason: error instanceof Error ? error.message : String(error) }];
  }
  const reason = await runSelfTest(
    (bytes) =>
      load(
        {
          bytes,
          unranked: new Set(),
          externalLocations: [],
          wrongOptimizers: [],
          hasNormBetweenConvolutions: false,
        },
        undefined,
        {
          cpuFallback: false,
        },
      ),
    'reduce-mean',
  );
  return reason === undefined ? [] : [{ reason }];
}
