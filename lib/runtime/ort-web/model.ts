/** Models in onnxruntime-web, in Node and in browsers. */
import type { InferenceSession } from 'onnxruntime-common';
import type { AnyTensor, TensorData } from '../../tensor.js';
import type {
  BackendOptions,
  ModelToLoad,
  NameSet,
  ProviderOptions,
  BackendRunOptions,
  AnyTensorRecord,
} from '../core/contract.js';
import {
  fromOrtTensor,
  makeOrRelease,
  OrtModel,
  type TensorType,
  toInfo,
  toOrtTensor,
} from '../core/ort-model.js';
import { configEntries, refuseOptions } from '../core/session-options.js';
import { copyInto } from '../core/tensors.js';
import { withoutOptimizers } from '../core/workarounds.js';
import { hasEnded, inTurn, requireRoom, withNamelessDims } from './workarounds.js';

/** The part of onnxruntime-web that is used, which all its builds have. */
interface WebRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorType;
}

/** The folder or URL of a model's external data, and how to read a file there. */
interface ExternalData {
  /** `undefined` for a model that was given as bytes. */
  readonly folder: string | undefined;
  readonly read: (folder: string, name: string) => Promise<Uint8Array>;
}

/** The options of a model in onnxruntime-web. */
export interface WebOptions extends BackendOptions {
  /** Whether ONNX Runtime may run nodes on the CPU that the provider has no kernel for. Default true. */
  readonly cpuFallback?: boolean;
  readonly providerOptions?: ProviderOptions | undefined;
}

/**
 * Loads a model.
 * @throws SessionError `PROVIDER_UNAVAILABLE` if the options ask for a profile; the runtime's own errors.
 */
export async function loadOnWeb(
  runtime: WebRuntime,
  provider: 'wasm' | 'webgpu',
  model: ModelToLoad,
  options: WebOptions,
  external: ExternalData,
): Promise<WebModel> {
  refuseOptions('onnxruntime-web', options, {
    profileFilePrefix: 'cannot write a profile',
    interOpNumThreads: 'runs one node at a time',
    executionMode: 'runs one node at a time',
  });
  const all = {
    ...sessionOptions(provider, model, options),
    externalData: await externalData(model, external),
  };
  return inTurn(async () => {
    const session = await runtime.InferenceSession.create(model.bytes, all);
    return makeOrRelease(session, () => new WebModel(session, model.unranked, runtime));
  });
}

const sessionOptions = (
  provider: string,
  { wrongOptimizers }: ModelToLoad,
  options: WebOptions,
): InferenceSession.SessionOptions => ({
  executionProviders: [{ name: provider, ...options.providerOptions }],
  graphOptimizationLevel: options.graphOptimizationLevel ?? 'all',
  enableCpuMemArena: options.enableCpuMemArena ?? true,
  freeDimensionOverrides: options.freeDimensionOverrides ?? {},
  logSeverityLevel: 4,
  extra: withoutOptimizers(
    {
      ...configEntries(options),
      ...(options.cpuFallback === false && { 'session.disable_cpu_ep_fallback': '1' }),
    },
    wrongOptimizers,
  ),
});

/** Reads the files of external data for onnxruntime-web, which sees no files itself. */
async function externalData(
  { externalLocations, fileInMemory }: ModelToLoad,
  { folder, read }: ExternalData,
): Promise<{ path: string; data: Uint8Array }[]> {
  const onDisk = folder === undefined ? [] : externalLocations;
  const files = await Promise.all(onDisk.map(async (path) => ({ path, data: await read(folder!, path) })));
  return fileInMemory ? [...files, { path: fileInMemory.location, data: fileInMemory.bytes }] : files;
}

/** A model that onnxruntime-web has loaded. */
class WebModel extends OrtModel {
  constructor(
    session: InferenceSession,
    unranked: NameSet,
    readonly runtime: WebRuntime,
  ) {
    super(session, unranked, (metadata) => toInfo(withNamelessDims(metadata)));
  }

  /** Runs the model. onnxruntime-web blocks the thread meanwhile, so the session checks the signal before and after. */
  async run(
    feeds: AnyTensorRecord,
    { fetches, outputs = {} }: BackendRunOptions,
  ): Promise<Record<string, AnyTensor>> {
    const inputs = Object.entries(feeds).map(
      ([name, value]) => [name, toOrtTensor(this.runtime.Tensor, value)] as const,
    );
    const results = await inTurn(async () => {
      await requireRoom(this.runtime.InferenceSession, feeds);
      return this.session.run(Object.fromEntries(inputs), fetches, { logSeverityLevel: 4 });
    });
    return Object.fromEntries(
      Object.entries(results).map(([name, value]) => {
        // onnxruntime-web copies every output out of its memory, so a given tensor needs a second copy.
        const given = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
        return [
          name,
          given ? copyInto(name, given, fromOrtTensor(value) as TensorData) : fromOrtTensor(value),
        ];
      }),
    );
  }

  override dispose(): Promise<void> {
    return hasEnded() ? Promise.resolve() : inTurn(() => super.dispose());
  }
}
