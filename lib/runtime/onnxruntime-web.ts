/** ONNX Runtime through onnxruntime-web: WebAssembly, which needs no native library. */
import type { Env, InferenceSession } from 'onnxruntime-web';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SessionError } from '../errors.js';
import { Model } from '../onnx/index.js';
import { tensorBytes, type TensorData } from '../tensor.js';
import type {
  Backend,
  BackendOptions,
  LoadedModel,
  RunOptions,
  TensorInfo,
  TensorRecord,
} from './backend.js';
import { fromRuntime, toInfo, toRuntime, type TensorType } from './onnxruntime-values.js';

export const wasmBackend: Backend = {
  provider: 'wasm',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  whyUnavailable: () =>
    !('WebAssembly' in globalThis) ? 'this Node was started without WebAssembly (--jitless)' : undefined,
  async load(model, externalDataFolder, options) {
    if (options.profileFilePrefix !== undefined) {
      throw new SessionError('PROVIDER_UNAVAILABLE', 'onnxruntime-web writes no profile: profileFilePrefix');
    }
    const ort = await import('onnxruntime-web');
    prepareEnvironment(ort.env.wasm, options.intraOpNumThreads);
    const all = { ...sessionOptions(options), ...(await externalData(model, externalDataFolder)) };
    return inTurn(async () => {
      const session = await ort.InferenceSession.create(model, all);
      try {
        return new WebModel(session, ort.Tensor);
      } catch (error) {
        await session.release();
        throw error;
      }
    });
  },
};

/**
 * The module is one for the whole process and reads its settings when its first model is loaded: what a program set
 * before that stays, and a later model's number of threads changes nothing. Unless a number is asked for it is
 * ONNX Runtime's: one for every two cores, at most 4. Threads wait for work by asking for it again and again, so that
 * on cores that are busy otherwise a second one made a U-Net take 119 ms in place of 71.
 */
function prepareEnvironment(env: Env.WebAssemblyFlags, threads: number | undefined): void {
  // Threads are started with the program's own flags, and end the process over one that is for the program's text.
  if (process.execArgv.some((flag) => flag.startsWith('--input-type'))) env.numThreads = 1;
  else if (threads) env.numThreads ??= threads;
  const file = createRequire(import.meta.url).resolve('onnxruntime-web');
  env.wasmPaths ??= pathToFileURL(join(dirname(file), '/')).href;
}

const sessionOptions = ({
  graphOptimizationLevel = 'all',
  enableCpuMemArena = true,
}: BackendOptions): InferenceSession.SessionOptions => ({
  executionProviders: ['wasm'],
  graphOptimizationLevel,
  enableCpuMemArena,
  logSeverityLevel: 4,
});

/** The module sees no files: it is given what the model refers to. */
async function externalData(
  model: Uint8Array,
  folder: string | undefined,
): Promise<Pick<InferenceSession.SessionOptions, 'externalData'>> {
  if (folder === undefined) return {};
  const locations = [...Model.decode(model).externalLocations()];
  if (locations.length === 0) return {};
  return {
    externalData: await Promise.all(
      locations.map(async (path) => ({ path, data: await readFile(join(folder, path)) })),
    ),
  };
}

let last: Promise<unknown> = Promise.resolve();

/**
 * One after the other: the module keeps a run's arguments on its one stack while it waits for its own promises, where
 * another run would overwrite them.
 */
function inTurn<T>(action: () => Promise<T>): Promise<T> {
  const result = last.then(action, action);
  last = result.catch(() => undefined);
  return result;
}

class WebModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];

  constructor(
    readonly session: InferenceSession,
    readonly TensorClass: TensorType,
  ) {
    this.inputs = session.inputMetadata.map(toInfo);
    this.outputs = session.outputMetadata.map(toInfo);
  }

  /** A run holds the thread, so nobody can abort it: the session looks before and after. */
  async run(feeds: TensorRecord, { outputs = {} }: RunOptions): Promise<Record<string, TensorData>> {
    const inputs = Object.entries(feeds).map(([name, value]) => [name, toRuntime(this.TensorClass, value)]);
    const results = await inTurn(() =>
      this.session.run(Object.fromEntries(inputs) as InferenceSession.FeedsType, { logSeverityLevel: 4 }),
    );
    return Object.fromEntries(
      Object.entries(results).map(([name, value]) => {
        const given = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
        return [name, copyInto(given, fromRuntime(value))];
      }),
    );
  }

  dispose(): Promise<void> {
    return inTurn(() => this.session.release());
  }
}

/** The module's memory is its own: outputs are copied out of it in any case. */
function copyInto(given: TensorData | undefined, result: TensorData): TensorData {
  if (!given) return result;
  if (given.dims.some((dim, axis) => dim !== result.dims[axis])) {
    throw new Error(`the output has shape [${result.dims.join(', ')}], not [${given.dims.join(', ')}]`);
  }
  tensorBytes(given).set(tensorBytes(result));
  return given;
}
