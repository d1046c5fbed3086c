/** Whether a model really runs on the GPU: ONNX Runtime gives what it has no kernel for to the CPU, and says nothing. */
import { SessionError } from '../../errors.js';
import type { TensorData } from '../../tensor.js';
import type {
  Backend,
  BackendOptions,
  LoadedModel,
  Problem,
  RunOptions,
  TensorInfo,
  TensorRecord,
} from '../core/contract.js';
import { PROBE_INPUT, probeModel, whyWrong } from '../core/self-test.js';
import { fetchExternal, prepareEnvironment } from './browser.js';
import { loadOnWeb } from './model.js';

/** What of a GPUDevice is used. */
export interface Device {
  readonly queue: { submit(commands: Iterable<unknown>): void };
  /** What it can do besides what every device can. */
  readonly features: { has(name: string): boolean };
}

/** How often work was given to a device since it is watched. */
export interface Work {
  submissions: number;
}

const watched = new WeakMap<Device, Work>();

/** Counts a device's submissions from now on. */
export function watch(device: Device): Work {
  const known = watched.get(device);
  if (known) return known;
  const work: Work = { submissions: 0 };
  const submit = device.queue.submit.bind(device.queue);
  device.queue.submit = (commands) => {
    work.submissions++;
    submit(commands);
  };
  watched.set(device, work);
  return work;
}

/** Refuses the result of the first run if nothing of it was given to the GPU. */
export class VerifiedModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  #verified = false;

  constructor(
    readonly model: LoadedModel,
    readonly work: Work,
  ) {
    this.inputs = model.inputs;
    this.outputs = model.outputs;
  }

  async run(feeds: TensorRecord, options: RunOptions): Promise<Record<string, TensorData>> {
    const before = this.work.submissions;
    const results = await this.model.run(feeds, options);
    this.#verified ||= this.work.submissions > before || isEmpty(results);
    if (this.#verified) return results;
    throw new SessionError(
      'PROVIDER_UNAVAILABLE',
      'ONNX Runtime placed no node of this model on the GPU: use wasm for it',
    );
  }

  dispose(): Promise<void> {
    return this.model.dispose();
  }
}

/** Then there is nothing to compute. */
const isEmpty = (results: TensorRecord): boolean =>
  Object.values(results).every(({ data }) => data.length === 0);

// SECTION: ONNX Runtime on a GPU in a browser, where it was seen to compute right.

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
