/** Whether a model really runs on the GPU: ONNX Runtime gives what it has no kernel for to the CPU, and says nothing. */
import { SessionError } from '../../errors.js';
import type { TensorData } from '../../tensor.js';
import type { LoadedModel, RunOptions, TensorInfo, TensorRecord } from '../backend.js';

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
