/** Models in onnxruntime-web, in Node and in browsers. */
import type { InferenceSession } from 'onnxruntime-common';
import { SessionError } from '../../errors.js';
import { Model } from '../../onnx/model.js';
import type { TensorData } from '../../tensor.js';
import type { BackendOptions, LoadedModel, RunOptions, TensorInfo, TensorRecord } from '../core/contract.js';
import { fromRuntime, type TensorType, toInfo, toRuntime } from '../core/ort-values.js';
import { copyInto, withOpenRanks } from '../core/tensors.js';
import { explainMemory, requireRoom } from './workarounds.js';

/** The providers of onnxruntime-web. */
export type WebProvider = 'wasm' | 'webgpu';

/** What of the package is used, so that any of its builds fits. */
export interface WebRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorType;
}

/** Where a model's external data lies, and how it is read; no folder for a model that was given as bytes. */
export interface ExternalData {
  readonly folder: string | undefined;
  readonly read: (folder: string, name: string) => Promise<Uint8Array>;
}

/** @throws SessionError `PROVIDER_UNAVAILABLE` if a profile is asked for; the runtime's own errors. */
export async function loadOnWeb(
  runtime: WebRuntime,
  provider: WebProvider,
  model: Uint8Array,
  options: BackendOptions,
  external: ExternalData,
): Promise<WebModel> {
  if (options.profileFilePrefix !== undefined) {
    throw new SessionError('PROVIDER_UNAVAILABLE', 'onnxruntime-web writes no profile: profileFilePrefix');
  }
  const all = { ...sessionOptions(provider, options), ...(await externalData(model, external)) };
  return inTurn(async () => {
    const session = await runtime.InferenceSession.create(model, all);
    try {
      return new WebModel(session, runtime, model);
    } catch (error) {
      await session.release();
      throw error;
    }
  });
}

const sessionOptions = (
  provider: WebProvider,
  { graphOptimizationLevel = 'all', enableCpuMemArena = true }: BackendOptions,
): InferenceSession.SessionOptions => ({
  executionProviders: [provider],
  graphOptimizationLevel,
  enableCpuMemArena,
  logSeverityLevel: 4,
});

/** The module sees no files: it is given what the model refers to. */
async function externalData(
  model: Uint8Array,
  { folder, read }: ExternalData,
): Promise<Pick<InferenceSession.SessionOptions, 'externalData'>> {
  if (folder === undefined) return {};
  const locations = [...Model.decode(model).externalLocations()];
  if (locations.length === 0) return {};
  return {
    externalData: await Promise.all(
      locations.map(async (path) => ({ path, data: await read(folder, path) })),
    ),
  };
}

let last: Promise<unknown> = Promise.resolve();

/**
 * One after the other: the module keeps a run's arguments on its one stack while it waits for its own promises, where
 * another run would overwrite them.
 */
function inTurn<T>(action: () => Promise<T>): Promise<T> {
  const result = last.then(action, action).catch((error: unknown) => {
    throw explainMemory(error);
  });
  last = result.catch(() => undefined);
  return result;
}

/** A model that onnxruntime-web has loaded. */
export class WebModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];

  constructor(
    readonly session: InferenceSession,
    readonly runtime: WebRuntime,
    model: Uint8Array,
  ) {
    this.inputs = withOpenRanks(model, session.inputMetadata.map(toInfo));
    this.outputs = withOpenRanks(model, session.outputMetadata.map(toInfo));
  }

  /** A run holds the thread, so nobody can abort it: the session looks before and after. */
  async run(feeds: TensorRecord, { outputs = {} }: RunOptions): Promise<Record<string, TensorData>> {
    const inputs = Object.entries(feeds).map(([name, value]) => [
      name,
      toRuntime(this.runtime.Tensor, value),
    ]);
    const results = await inTurn(async () => {
      await requireRoom(this.runtime.InferenceSession, feeds);
      return this.session.run(Object.fromEntries(inputs) as InferenceSession.FeedsType, {
        logSeverityLevel: 4,
      });
    });
    return Object.fromEntries(
      Object.entries(results).map(([name, value]) => {
        const given = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
        // The module's memory is its own: outputs are copied out of it in any case.
        return [name, given ? copyInto(name, given, fromRuntime(value)) : fromRuntime(value)];
      }),
    );
  }

  dispose(): Promise<void> {
    return inTurn(() => this.session.release());
  }
}
