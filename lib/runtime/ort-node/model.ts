/** Models in onnxruntime-node. */
import type { InferenceSession } from 'onnxruntime-common';
import { SessionError } from '../../errors.js';
import type { AnyTensor, TensorData } from '../../tensor.js';
import type {
  Backend,
  BackendOptions,
  ModelToLoad,
  NameSet,
  ProviderOptions,
  BackendRunOptions,
  AnyTensorRecord,
} from '../core/contract.js';
import { fromOrtTensor, makeOrRelease, OrtModel, type TensorType } from '../core/ort-model.js';
import { describeProblems } from '../core/providers.js';
import { configEntries, refuseOptions } from '../core/session-options.js';
import { copyInto } from '../core/tensors.js';
import { withoutOptimizers } from '../core/workarounds.js';
import { loadOnnxRuntime } from './load.js';
import { isWritable, toNodeTensor, workerProblem } from './workarounds.js';

/** ONNX Runtime's CPU provider, without the native kernel. */
export const cpuBackend: Backend = {
  provider: 'cpu',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  takesOptionalInputs: false,
  async whyUnavailable(options) {
    const problem = workerProblem(options?.allowInWorker) ?? (await loadOnnxRuntime()).problem;
    return problem === undefined ? [] : [problem];
  },
  load: (model, externalDataFolder, options) => loadOnNode('cpu', model, externalDataFolder, options),
};

/** The options of a model in onnxruntime-node. */
export interface NodeOptions extends BackendOptions {
  /** Whether ONNX Runtime may run nodes on the CPU that the provider has no kernel for. Default true. */
  readonly cpuFallback?: boolean;
  readonly providerOptions?: ProviderOptions | undefined;
}

/**
 * Loads a model.
 * @param name The execution provider, under onnxruntime-node's name.
 * @throws SessionError `PROVIDER_UNAVAILABLE` if onnxruntime-node cannot be loaded or does not have an option; the
 *   runtime's own errors.
 */
export async function loadOnNode(
  name: string,
  model: ModelToLoad,
  externalDataFolder: string | undefined,
  options: NodeOptions,
): Promise<NodeModel> {
  const { ort, problem } = await loadOnnxRuntime();
  if (!ort) throw new SessionError('PROVIDER_UNAVAILABLE', describeProblems([problem]));
  refuseOptions('onnxruntime-node', options, {
    freeDimensionOverrides: 'cannot fix the sizes of named dimensions',
  });
  const all = sessionOptions(name, model, externalDataFolder, options);
  const session = await ort.InferenceSession.create(model.bytes, all);
  return makeOrRelease(session, () => new NodeModel(session, model.unranked, ort.Tensor));
}

function sessionOptions(
  name: string,
  { wrongOptimizers }: ModelToLoad,
  externalDataFolder: string | undefined,
  options: NodeOptions,
): InferenceSession.SessionOptions {
  const { graphOptimizationLevel = 'all', profileFilePrefix, providerOptions } = options;
  const { intraOpNumThreads, interOpNumThreads, executionMode, enableCpuMemArena } = options;
  const config = {
    ...configEntries(options),
    ...(externalDataFolder !== undefined && {
      'session.model_external_initializers_file_folder_path': externalDataFolder,
    }),
    ...(options.cpuFallback === false && { 'session.disable_cpu_ep_fallback': '1' }),
  };
  return {
    executionProviders: [{ name, ...providerOptions }],
    graphOptimizationLevel,
    // Errors arrive as exceptions; the caller has no use for what the runtime would print besides.
    logSeverityLevel: 4,
    ...(intraOpNumThreads !== undefined && { intraOpNumThreads }),
    ...(interOpNumThreads !== undefined && { interOpNumThreads }),
    ...(executionMode !== undefined && { executionMode }),
    ...(enableCpuMemArena !== undefined && { enableCpuMemArena }),
    ...(profileFilePrefix !== undefined && { enableProfiling: true, profileFilePrefix }),
    extra: withoutOptimizers(config, wrongOptimizers),
  };
}

/** A model that onnxruntime-node has loaded. */
export class NodeModel extends OrtModel {
  constructor(
    session: InferenceSession,
    unranked: NameSet,
    readonly TensorClass: TensorType,
  ) {
    super(session, unranked);
  }

  /** Runs the model. onnxruntime-node blocks the thread meanwhile, so the session checks the signal before and after. */
  async run(
    feeds: AnyTensorRecord,
    { fetches: names, outputs = {} }: BackendRunOptions,
  ): Promise<Record<string, AnyTensor>> {
    const toOrt = (value: AnyTensor) => toNodeTensor(this.TensorClass, value);
    const inputs = Object.entries(feeds).map(([name, value]) => [name, toOrt(value)] as const);
    const givenFor = (name: string) => (Object.hasOwn(outputs, name) ? outputs[name] : undefined);
    const fetches = names.map((name) => {
      const given = givenFor(name);
      return [name, given && isWritable(given) ? toOrt(given) : null] as const;
    });
    const results = await this.session.run(Object.fromEntries(inputs), Object.fromEntries(fetches));
    return Object.fromEntries(
      Object.entries(results).map(([name, value]) => {
        const given = givenFor(name);
        if (!given) return [name, fromOrtTensor(value)];
        return [name, isWritable(given) ? given : copyInto(name, given, fromOrtTensor(value) as TensorData)];
      }),
    );
  }
}
