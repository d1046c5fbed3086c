/** ONNX Runtime on a GPU in a browser, where it was seen to compute right. */
import { SessionError } from '../../errors.js';
import type { Backend, BackendOptions, LoadedModel, Problem } from '../backend.js';
import { PROBE_INPUT, probeModel, whyWrong } from '../probe.js';
import { loadOnWeb } from '../web-model.js';
import { prepareEnvironment } from './environment.js';
import { fetchExternal } from './fetch-external.js';
import { VerifiedModel, watch, type Device } from './gpu-work.js';

let found: Promise<readonly Problem[]> | undefined;

/** Whether it can be used is found out once in a page or worker. */
export const webgpuBackend: Backend = {
  provider: 'webgpu',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  whyUnavailable: () => (found ??= findProblems()),
  load: loadVerified,
};

async function loadVerified(
  model: Uint8Array,
  folder: string | undefined,
  options: BackendOptions,
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
  return new VerifiedModel(loaded, watch(device));
}

interface Gpu {
  requestAdapter(): Promise<unknown>;
}

async function findProblems(): Promise<readonly Problem[]> {
  const { gpu } = (globalThis as { navigator?: { gpu?: Gpu } }).navigator ?? {};
  if (!gpu) return [{ reason: 'this browser has no WebGPU, or this page is not from https or localhost' }];
  try {
    if ((await gpu.requestAdapter()) === null) {
      return [{ reason: 'there is no GPU that this browser would use', remedy: "update the GPU's driver" }];
    }
    const wrong = await probe();
    return wrong === undefined ? [] : [{ reason: wrong }];
  } catch (error) {
    return [{ reason: error instanceof Error ? error.message : String(error) }];
  }
}

async function probe(): Promise<string | undefined> {
  const model = await loadVerified(probeModel('reduce-mean'), undefined, {});
  try {
    const { y } = await model.run({ x: PROBE_INPUT }, {});
    if (!y) throw new SessionError('RUN_FAILED', 'it gave no output');
    return whyWrong(y.data as Float32Array);
  } finally {
    await model.dispose();
  }
}
