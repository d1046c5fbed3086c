import type { Shape, TensorData, DType } from '../tensor.js';
import type { Provider } from './providers.js';

/** What a session says of one input or output. */
export interface TensorInfo {
  /** As the model calls it. */
  readonly name: string;
  /** What its elements are. */
  readonly dtype: DType;
  /** A dimension is a size, or the name of one that is known only at run time. Nothing if any rank will do. */
  readonly shape: Shape | undefined;
}

/** Tensors by name. */
export type TensorRecord = Readonly<Record<string, TensorData>>;

/** ONNX Runtime's graph optimisations, from none to all. */
export const GRAPH_OPTIMIZATION_LEVELS = ['disabled', 'basic', 'extended', 'all'] as const;

/** ONNX Runtime's own session options, under onnxruntime-common's names. */
export interface BackendOptions {
  /** Threads of one operator. Default: ONNX Runtime's, one per physical core. */
  readonly intraOpNumThreads?: number | undefined;
  /** ONNX Runtime's graph optimisations. Default `all`. */
  readonly graphOptimizationLevel?: (typeof GRAPH_OPTIMIZATION_LEVELS)[number] | undefined;
  /** Whether the runtime keeps freed memory for later runs. Default true. */
  readonly enableCpuMemArena?: boolean | undefined;
  /**
   * Measures every node, and writes a Chrome trace when the session is disposed of: the file's name is this and
   * a date. Default: none.
   */
  readonly profileFilePrefix?: string | undefined;
}

/** How one run is made. */
export interface RunOptions {
  /** Ends the run when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Tensors that outputs are written into, by output name, of the very shape that the run gives them. Their data
   * must not be touched before the run has ended, and must overlap no other's.
   */
  readonly outputs?: TensorRecord | undefined;
}

/** A model that one runtime has loaded. Errors are the runtime's own: the session gives them their type. */
export interface LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  run(feeds: TensorRecord, options: RunOptions): Promise<Record<string, TensorData>>;
  dispose(): Promise<void>;
}

/** One thing that keeps a runtime from being used here. */
export interface Problem {
  readonly reason: string;
  /** What to do about it; nothing if nothing can be done. */
  readonly remedy?: string;
}

/** A runtime that can run models. One file each. */
export interface Backend {
  readonly provider: Provider;
  /** Whether it has a kernel for GroupNormalization, and so runs the standard operator as it is. */
  readonly hasGroupNormKernel: boolean;
  /** Whether bfloat16 tensors can be passed to it. */
  readonly takesBfloat16: boolean;
  /** Why it cannot be used here, in the order in which to see to it; nothing, or an empty list, if it can. */
  whyUnavailable(): string | undefined | Promise<readonly Problem[]>;
  /**
   * @param externalDataFolder Where a model that is given as bytes finds its external data.
   * @throws SessionError `PROVIDER_UNAVAILABLE` for what is not the model's fault: another provider may run it.
   */
  load(
    model: Uint8Array,
    externalDataFolder: string | undefined,
    options: BackendOptions,
  ): Promise<LoadedModel>;
}
