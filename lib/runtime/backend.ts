import type { Shape, TensorData, DType } from '../tensor.js';
import type { Provider } from './providers.js';

/** What a session says of one input or output. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  /** A dimension is a size, or the name of one that is known only at run time. */
  readonly shape: Shape;
}

/** Tensors by name. */
export type TensorRecord = Readonly<Record<string, TensorData>>;

export interface BackendOptions {
  /** Threads of one operator. Default: ONNX Runtime's, one a physical core. */
  readonly intraOpNumThreads?: number | undefined;
  /** ONNX Runtime's graph optimisations. Default `all`. */
  readonly graphOptimizationLevel?: 'disabled' | 'basic' | 'extended' | 'all' | undefined;
}

/** A model that one runtime has loaded. Errors are the runtime's own: the session gives them their type. */
export interface LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  run(feeds: TensorRecord): Promise<Record<string, TensorData>>;
  dispose(): Promise<void>;
}

/** A runtime that can run models. One file each. */
export interface Backend {
  readonly provider: Provider;
  /** @param externalDataFolder Where a model that is given as bytes finds its external data. */
  load(
    model: Uint8Array,
    externalDataFolder: string | undefined,
    options: BackendOptions,
  ): Promise<LoadedModel>;
}
