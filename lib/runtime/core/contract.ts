/// <reference lib="esnext.disposable" preserve="true" />
import { SessionError } from '../../errors.js';
import type { SessionLoweringName } from '../../lowering/types.js';
import { suggestion } from '../../nearest.js';
import type { DType, Shape, TensorData } from '../../tensor.js';

/**
 * Execution providers that a session can be asked for. `native` is ONNX Runtime's CPU provider with this project's
 * kernel for GroupNormalization; `cpu` is `native` where the addon is there, and onnxruntime-node where it is not;
 * `wasm` is onnxruntime-web. The others are onnxruntime-node's, where its build for this platform has them.
 */
export const PROVIDERS = ['native', 'cpu', 'cuda', 'tensorrt', 'webgpu', 'wasm', 'coreml', 'dml'] as const;
/** The name of an execution provider. */
export type Provider = (typeof PROVIDERS)[number];

/** An execution provider that was asked for and does not run the model. */
export interface ProviderFallback {
  /** Its name. */
  readonly provider: Provider;
  /** Why it does not, and what would change that. */
  readonly reason: string;
}

/**
 * @throws SessionError `UNKNOWN_PROVIDER` with the list of known ones.
 */
export function requireProvider(name: string): Provider {
  if ((PROVIDERS as readonly string[]).includes(name)) return name as Provider;
  throw new SessionError(
    'UNKNOWN_PROVIDER',
    `unknown execution provider '${name}'${suggestion(String(name), PROVIDERS)}; known: ${PROVIDERS.join(', ')}`,
  );
}

/**
 * An ordered list of names, each once.
 * @throws SessionError `UNKNOWN_PROVIDER` if it is not a list, is empty, or has a name that is not known.
 */
export function requireProviders(names: readonly string[]): readonly [Provider, ...Provider[]] {
  if (!Array.isArray(names)) {
    throw new SessionError(
      'UNKNOWN_PROVIDER',
      `providers must be a list, such as ['cpu'], not ${String(names)}`,
    );
  }
  const [first, ...rest] = new Set(names.map(requireProvider));
  if (first === undefined) {
    throw new SessionError('UNKNOWN_PROVIDER', 'providers is empty: name at least one');
  }
  return [first, ...rest];
}

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
  /** Whether freed memory is kept for later runs. Default true. */
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
   * must not be touched before the run has ended, and must overlap no other's. Tensors of {@link Session.allocate}
   * are written in place; into others the result is copied when the run has ended.
   */
  readonly outputs?: TensorRecord | undefined;
  /**
   * Runs on the calling thread, which spares a short run the way to another thread and back. The event loop stands
   * still meanwhile, and `signal` cannot be given. Default false. Only the native kernel has the choice:
   * onnxruntime-node and onnxruntime-web hold the thread in any case.
   */
  readonly sync?: boolean | undefined;
}

/**
 * The outputs of a run by name. `using out = await session.run(feeds)`, or `out.dispose()`, gives their memory to the
 * next run at once: their data are then empty. Without it the garbage collector frees them some time. If an output is
 * named `dispose`, it takes the method's place, and `using` works still.
 */
export type RunResults = Record<string, TensorData> & Disposable & { dispose(): void };

/** A tensor that ends: disposing of it empties its data, and gives their memory back at once. */
export type AllocatedTensor = TensorData & Disposable & { dispose(): void };

/** A model that one runtime has loaded. Errors are the runtime's own: the session gives them their type. */
export interface LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  run(feeds: TensorRecord, options: RunOptions): Promise<Record<string, TensorData>>;
  /** Returns a tensor of zeros that runs read and write without a copy. Absent where no memory is like that. */
  allocate?(dtype: DType, dims: readonly number[]): TensorData;
  /** Empties tensors that `run` or `allocate` has made, and frees their memory. Absent where only V8 frees it. */
  release?(tensors: readonly TensorData[]): void;
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

// SECTION: The choice of a runtime, and why others cannot be used.

/** A runtime that can be used, or what keeps every one of the provider's from it. */
export type Choice =
  | { readonly backend: Backend; readonly problems?: undefined }
  | { readonly backend?: undefined; readonly problems: readonly Problem[] };

/** The first of several that can be used. */
export async function firstUsable(backends: readonly Backend[]): Promise<Choice> {
  const problems: Problem[] = [];
  for (const backend of backends) {
    const found = await problemsOf(backend);
    if (found.length === 0) return { backend };
    problems.push(...found);
  }
  return { problems };
}

async function problemsOf(backend: Backend): Promise<readonly Problem[]> {
  const found = await backend.whyUnavailable();
  return typeof found === 'string' ? [{ reason: found }] : (found ?? []);
}

/** Several problems in one text. */
export const describeProblems = (problems: readonly Problem[]): string =>
  problems.map(({ reason, remedy }) => (remedy === undefined ? reason : `${reason} (${remedy})`)).join('; ');

// SECTION: What a session needs of the place that it is in: Node or a browser.

/** A model's bytes, and how messages call it. */
export interface ModelSource {
  readonly bytes: Uint8Array;
  readonly where: string;
  /** Where external data is looked for: a folder, or a URL; nothing for a model that was given as bytes. */
  readonly folder: string | undefined;
}

/** One for Node, one for browsers. */
export interface Platform {
  /** What runs a model where the caller does not say. */
  readonly defaultProvider: Provider;
  /** Reads a model that was named by its path or URL. */
  readModel(name: string): Promise<ModelSource>;
  /** Whether a file is there, as far as that can be told without reading it. */
  hasFile(folder: string, name: string): boolean;
  /**
   * The best runtime of a provider that can be used.
   * @param asked Whether the caller asked for a way to run GroupNormalization.
   */
  chooseBackend(provider: Provider, asked: boolean): Promise<Choice>;
}

// SECTION: What a session is to its callers.

/** `kernel`: the native addon's; else what the nodes were rewritten to, `mixed` if not all to the same. */
export type GroupNormExecution = SessionLoweringName | 'kernel' | 'mixed';

/** How a model is loaded. */
export interface SessionOptions extends BackendOptions {
  /**
   * Execution providers in order of preference. One that cannot be used here, or that has no kernel for an operator
   * of the model, is passed over for the next. Default `['cpu']`, and `['wasm']` in a browser.
   */
  readonly providers?: readonly Provider[] | undefined;
  /** Whether to fail where the first of `providers` cannot run the model, rather than pass it over. Default false. */
  readonly strict?: boolean | undefined;
  /**
   * How GroupNormalization nodes run. Default: by the native kernel; where it is not there, rewritten before ONNX
   * Runtime, which has none of its own, sees them. `op` on `cpu` asks for ONNX Runtime's inlined body, which is
   * slow, and wrong for inputs whose mean is large against their deviation. InstanceNormalization, and
   * LayerNormalization over rows of more than 1,024 elements or of unknown length, are rewritten as well, because
   * ONNX Runtime sums a row in one float32. An operator that is asked for by name runs by ONNX Runtime's own kernel:
   * `instance-norm` and `layer-norm` leave the one of that name as it is, `op` both. (float64 InstanceNormalization,
   * which ONNX Runtime has no kernel for, runs as `reduce-mean` even so.) `contrib-group-norm` is ONNX Runtime's
   * `com.microsoft.GroupNorm`, on `cuda` alone, for (N, C, H, W) of float32 or float16 with an even number of at most
   * 512 channels per group.
   */
  readonly groupNorm?: SessionLoweringName | undefined;
}

/** A loaded model. */
export interface Session {
  /** What {@link Session.run} takes, in the model's order. */
  readonly inputs: readonly TensorInfo[];
  /** What {@link Session.run} gives, in the model's order. */
  readonly outputs: readonly TensorInfo[];
  /**
   * The execution provider that runs it. Where it can give only a part of the model to a GPU, the first run shows
   * whether it gives any; if not, the next of the list takes over, and is named here from then on.
   */
  readonly provider: Provider;
  /** The providers that were asked for before that one, in their order, and why they do not run it. */
  readonly fallbacks: readonly ProviderFallback[];
  /**
   * How its GroupNormalization runs: by the kernel, or as what it was rewritten to; PyTorch's exports of it below opset
   * 21, and those that were inlined, among it. `undefined` if the model has none, or runs ONNX Runtime's own body.
   */
  readonly groupNorm: GroupNormExecution | undefined;
  /**
   * Runs the model. With the native kernel the event loop stays free, and several runs may be under way at once.
   * Inputs of {@link Session.allocate}, results of other runs and shared memory are read where they lie, so leave them
   * unchanged until the run has ended; other inputs are copied at the call.
   * @param feeds One tensor for each input, of its dtype, rank and fixed dimensions. Data of float16 may be a
   *   Float16Array where the engine has it.
   * @returns Every output by name; float16 as its 16 bits. To be disposed of, or left to the garbage collector.
   * @throws SessionError `INPUT_*` if the feeds do not fit, `OUTPUT_INVALID` if the given outputs do not,
   *   `RUN_FAILED` if the runtime fails, `ABORTED`, `DISPOSED`; OptionError.
   */
  run(feeds: TensorRecord, options?: RunOptions): Promise<RunResults>;
  /**
   * Returns a tensor of zeros. With the native kernel it lies in memory that runs of any session read inputs from and
   * write given outputs into without a copy; elsewhere it is a tensor as any other. It outlives the session.
   * @throws TensorError `TENSOR_INVALID`, SessionError `OUT_OF_MEMORY`, `DISPOSED`.
   */
  allocate(dtype: DType, dims: readonly number[]): AllocatedTensor;
  /** Frees the model once what runs has ended. May be called again; `run` afterwards is an error. */
  dispose(): Promise<void>;
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
