/** ONNX Runtime through onnxruntime-node. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
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
import { fromRuntime, type TensorType, toInfo, toRuntime } from '../core/ort-values.js';
import { withOpenRanks } from '../core/tensors.js';
import { nativeBinding } from './installation.js';

export const cpuBackend: Backend = {
  provider: 'cpu',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  whyUnavailable: () => (problems ??= findProblems()),
  load: (model, externalDataFolder, options) => loadOnNode('cpu', model, externalDataFolder, options),
};

/** What to do where ONNX Runtime's native library cannot be used. */
export const WITHOUT_LIBRARY = "providers: ['wasm'] needs no native library";

/** Found out once in a process. */
let problems: Promise<Problem[]> | undefined;

/** Its library is for glibc, for one, and Alpine has musl. */
async function findProblems(): Promise<Problem[]> {
  const { error } = await nativeBinding();
  if (error === undefined) return [];
  return [{ reason: `onnxruntime-node cannot be loaded: ${error}`, remedy: WITHOUT_LIBRARY }];
}

/** What can be asked of onnxruntime-node. */
export interface NodeOptions extends BackendOptions {
  /** Whether ONNX Runtime may give nodes that the provider cannot run to the CPU. Default true. */
  readonly cpuFallback?: boolean;
}

/** @param name The execution provider, as onnxruntime-node calls it. */
export async function loadOnNode(
  name: string,
  model: Uint8Array,
  externalDataFolder: string | undefined,
  options: NodeOptions,
): Promise<NodeModel> {
  // Loaded on first use, so that building and reading models needs no native library.
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(model, sessionOptions(name, externalDataFolder, options));
  try {
    return new NodeModel(session, ort.Tensor, model);
  } catch (error) {
    await session.release();
    throw error;
  }
}

function sessionOptions(
  name: string,
  externalDataFolder: string | undefined,
  options: NodeOptions,
): InferenceSession.SessionOptions {
  const { intraOpNumThreads, graphOptimizationLevel = 'all', enableCpuMemArena, profileFilePrefix } = options;
  const config = {
    ...(externalDataFolder !== undefined && {
      model_external_initializers_file_folder_path: externalDataFolder,
    }),
    ...(options.cpuFallback === false && { disable_cpu_ep_fallback: '1' }),
  };
  return {
    executionProviders: [name],
    graphOptimizationLevel,
    // Errors arrive as exceptions; what the runtime would print besides is of no use to the caller.
    logSeverityLevel: 4,
    ...(intraOpNumThreads !== undefined && { intraOpNumThreads }),
    ...(enableCpuMemArena !== undefined && { enableCpuMemArena }),
    ...(profileFilePrefix !== undefined && { enableProfiling: true, profileFilePrefix }),
    extra: { session: config },
  };
}

/** A model that onnxruntime-node has loaded. */
export class NodeModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];

  constructor(
    readonly session: InferenceSession,
    readonly TensorClass: TensorType,
    model: Uint8Array,
  ) {
    this.inputs = withOpenRanks(model, session.inputMetadata.map(toInfo));
    this.outputs = withOpenRanks(model, session.outputMetadata.map(toInfo));
  }

  /** `run` of onnxruntime-node holds the thread, so nobody can abort it: the session looks before and after. */
  async run(feeds: TensorRecord, { outputs = {} }: RunOptions): Promise<Record<string, TensorData>> {
    const fetches = this.outputs.map(({ name }) => {
      const given = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
      return [name, given ? this.#toRuntime(given) : null] as const;
    });
    const results = await this.session.run(this.#allToRuntime(feeds), Object.fromEntries(fetches));
    return Object.fromEntries(
      Object.entries(results).map(([name, value]) => [name, outputs[name] ?? fromRuntime(value)]),
    );
  }

  dispose(): Promise<void> {
    return this.session.release();
  }

  #allToRuntime(tensors: TensorRecord): Record<string, Tensor> {
    return Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, this.#toRuntime(value)]));
  }

  #toRuntime(value: TensorData): Tensor {
    return toRuntime(this.TensorClass, value);
  }
}
