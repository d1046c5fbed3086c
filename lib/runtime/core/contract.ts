/// <reference lib="esnext.disposable" preserve="true" />
/** The types of lib/runtime: what users see of a session, and what each backend of ONNX Runtime implements. */
import type { RealDataFiles } from '../../files/location.js';
import type { Limits } from '../../limits.js';
import type { SessionLoweringName } from '../../lowering/types.js';
import type { AnyTensor, DType, ElementSource, Shape, TensorData } from '../../tensor.js';

/**
 * The execution providers that a session can ask for. `native` is ONNX Runtime's CPU provider with this project's
 * kernel for GroupNormalization. `cpu` is `native` where the addon is installed, and onnxruntime-node where it is not.
 * `wasm` is onnxruntime-web. The others belong to onnxruntime-node, where its build for this platform has them.
 */
export const PROVIDERS = ['native', 'cpu', 'cuda', 'tensorrt', 'webgpu', 'wasm', 'coreml', 'dml'] as const;
/**
 * The name of an execution provider.
 * @useDeclaredType
 */
export type Provider = (typeof PROVIDERS)[number];

/** How WebGPU keeps freed buffers for the next tensors. */
export type WebGpuCacheMode = 'disabled' | 'lazyRelease' | 'simple' | 'bucket';

/** The options of execution providers. Those of onnxruntime-node and onnxruntime-web have the names that they have there. */
export interface ProviderOptions {
  /**
   * Of `cpu`: whether onnxruntime-node may run in a worker thread, where it aborts the process if the worker or the
   * process is ended during a call. Default false. The native kernel and `wasm` run in workers without it.
   */
  readonly allowInWorker?: boolean | undefined;
  /** Of `cuda`, `tensorrt` and `dml`: the number of the GPU, from 0. */
  readonly deviceId?: number | undefined;
  /** Of `coreml`: the bits of `COREMLFlags` in ONNX Runtime's coreml_provider_factory.h. */
  readonly coreMlFlags?: number | undefined;
  /** Of `webgpu`: the layout in which convolutions and the like run. */
  readonly preferredLayout?: 'NCHW' | 'NHWC' | undefined;
  /** Of `webgpu`: names of nodes that run on the CPU. */
  readonly forceCpuNodeNames?: readonly string[] | undefined;
  /** Of `webgpu`: how much the runtime checks what it gives to the GPU. */
  readonly validationMode?: 'disabled' | 'wgpuOnly' | 'basic' | 'full' | undefined;
  /** Of `webgpu`: how buffers of tensors are kept. */
  readonly storageBufferCacheMode?: WebGpuCacheMode | undefined;
  /** Of `webgpu`: how buffers of arguments are kept. */
  readonly uniformBufferCacheMode?: WebGpuCacheMode | undefined;
  /** Of `webgpu`: how buffers of timings are kept. */
  readonly queryResolveBufferCacheMode?: WebGpuCacheMode | undefined;
  /** Of `webgpu`: how all other buffers are kept. */
  readonly defaultBufferCacheMode?: WebGpuCacheMode | undefined;
}

/** A provider with options of its own: `{ name: 'cuda', deviceId: 1 }`. */
export interface ProviderWithOptions extends ProviderOptions {
  /** The name of the provider. */
  readonly name: Provider;
}

/** An execution provider that the caller asked for and that does not run the model. */
export interface ProviderFallback {
  /** The name of the provider. */
  readonly provider: Provider;
  /** Why the provider does not run the model, and what would change that. */
  readonly reason: string;
}

/** The name, dtype and shape of an input or output of a model. */
export interface TensorInfo {
  /** The name in the model. */
  readonly name: string;
  /**
   * The dtype of the elements, `string` for texts. `undefined` for an output that is a sequence, a map or an optional
   * value: sessions cannot return it.
   */
  readonly dtype: DType | 'string' | undefined;
  /**
   * One entry for each dimension: its size, or its name if the size is known only at run time. `undefined` if the
   * model accepts any rank.
   */
  readonly shape: Shape | undefined;
  /** True for an input that a run may leave out: the model has a default value for it. */
  readonly optional?: boolean;
}

/** A tensor of onnxruntime, of any of its packages: `new ort.Tensor('float32', data, [1, 3])`. */
export interface OrtTensor {
  /** The dtype, under the name that it has here too. */
  readonly type: string;
  /** The size of each dimension, the outermost first. */
  readonly dims: readonly number[];
  /** The elements in C order. */
  readonly data: unknown;
}

/** A tensor of this library, or one that a caller has put together: `data` fits `dtype`, and may be a Float16Array. */
export interface TensorLike {
  /** The type of the elements, `string` for texts. */
  readonly dtype: DType | 'string';
  /** The size of each dimension, the outermost first; empty for a scalar. */
  readonly dims: readonly number[];
  /** The elements in C order. */
  readonly data: ElementSource | readonly string[];
}

/** Tensors by name, of this library or of onnxruntime. */
export type Feeds = Readonly<Record<string, TensorLike | OrtTensor>>;

/** Tensors by name. */
export type TensorRecord = Readonly<Record<string, TensorData>>;

/** Tensors by name, of numbers or of texts. */
export type AnyTensorRecord = Readonly<Record<string, AnyTensor>>;

/** ONNX Runtime's levels of graph optimization, from none to all. */
export const GRAPH_OPTIMIZATION_LEVELS = ['disabled', 'basic', 'extended', 'all'] as const;

/** Whether nodes run one after another, or several at once where the graph has branches. */
export const EXECUTION_MODES = ['sequential', 'parallel'] as const;

/** The layouts that a session may be asked for: {@link BackendOptions.layout}. */
export const LAYOUTS = ['auto', 'plain', 'blocked'] as const;
/** The layout that a session is asked for. */
export type Layout = (typeof LAYOUTS)[number];

/** ONNX Runtime's own session options, under the names that onnxruntime-common gives them, and the layout. */
export interface BackendOptions {
  /**
   * The layout of the tensors that GroupNorm reads and writes between convolutions. `blocked` is ONNX Runtime's own layout
   * for 2-D convolutions of float32 on the CPU, which `plain` leaves before each GroupNorm and enters again behind it. Only
   * the native kernel has the choice. `auto`, the default, is `blocked` where that can be had, and else `plain`;
   * `Session.layoutReason` says why. Loading for `blocked` takes longer: docs/sessions.md has the figures.
   */
  readonly layout?: Layout | undefined;
  /** Threads that one operator may use, at least 1. Default: ONNX Runtime's, one per physical core. */
  readonly intraOpNumThreads?: number | undefined;
  /**
   * Threads that run nodes at once if `executionMode` is `parallel`, at least 1. Default: one per physical core.
   * onnxruntime-web does not have it.
   */
  readonly interOpNumThreads?: number | undefined;
  /** Whether nodes run one after another, the default, or several at once. onnxruntime-web does not have it. */
  readonly executionMode?: (typeof EXECUTION_MODES)[number] | undefined;
  /**
   * Sizes for named dimensions of the inputs, so that ONNX Runtime can optimize for them: `{ N: 1 }`. Inputs must then
   * have these sizes. A name that the model does not have is ignored. `native` and onnxruntime-web have it.
   */
  readonly freeDimensionOverrides?: Readonly<Record<string, number>> | undefined;
  /** ONNX Runtime's graph optimizations. Default `all`. */
  readonly graphOptimizationLevel?: (typeof GRAPH_OPTIMIZATION_LEVELS)[number] | undefined;
  /**
   * Whether ONNX Runtime's threads wait for work in a loop, for a while, before they sleep. A run of many short operators is a
   * little faster so, and the processor has less time for all else: for the event loop, other sessions, other processes.
   * Default true, as in ONNX Runtime.
   */
  readonly allowSpinning?: boolean | undefined;
  /** Whether freed memory is kept for later runs. Default true. */
  readonly enableCpuMemArena?: boolean | undefined;
  /**
   * The start of a file name. If given, ONNX Runtime measures every node, and writes a Chrome trace to the file of
   * that name and the date when the session is disposed of. Default: no trace.
   */
  readonly profileFilePrefix?: string | undefined;
}

/** The options of one run. */
export interface RunOptions {
  /**
   * The names of the outputs to return, at least one. Default: every output. Name them if a model has outputs that
   * you do not need, or sequences and maps, which sessions cannot return. On `native`, `cpu` and `wasm` the run then
   * computes only what these outputs need: the first run with a set of outputs loads the model once more for this set,
   * up to four sets in a session.
   */
  readonly fetches?: readonly string[] | undefined;
  /** Ends the run when the signal is aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Tensors for the run to write its outputs into, by output name. Each needs the exact shape that the run computes.
   * Leave their data alone until the run has ended. They must not share memory with another tensor of the run.
   * Tensors of {@link Session.allocate} are written in place; into other tensors the result is copied at the end.
   */
  readonly outputs?: Feeds | undefined;
  /**
   * Whether to run on the calling thread, which saves a short run the way to another thread and back. The event loop
   * stands still during the run, and the run takes no `signal`. Default false. Only the native kernel has the choice:
   * onnxruntime-node and onnxruntime-web hold the thread in any case.
   */
  readonly sync?: boolean | undefined;
}

/**
 * The outputs of a run by name. `using out = await session.run(feeds)`, or `out.dispose()`, gives their memory to the
 * next run at once, and leaves their data empty. Otherwise the garbage collector frees them later. An output named
 * `dispose` takes the method's place; `using` still works.
 */
export type RunResults<Outputs extends AnyTensorRecord = Record<string, TensorData>> = Outputs &
  Disposable & { dispose(): void };

/** A tensor with an end: `dispose` leaves its data empty, and gives the memory back at once. */
export type AllocatedTensor<D extends DType = DType> = TensorData<D> & Disposable & { dispose(): void };

/**
 * How GroupNormalization runs: `kernel` if the native addon's kernel runs it, otherwise the name of the lowering that the
 * nodes were rewritten as; `mixed` if nodes have different lowerings.
 */
export type GroupNormExecution = SessionLoweringName | 'kernel' | 'mixed';

/** How a model is loaded. */
export interface SessionOptions extends BackendOptions {
  /**
   * Execution providers in order of preference. A provider that cannot be used here, or that has no kernel for an
   * operator of the model, is passed over for the next. Default `['cpu']`, and `['wasm']` in a browser. A provider with
   * options is an object: `[{ name: 'cuda', deviceId: 1 }, 'cpu']`.
   */
  readonly providers?: readonly (Provider | ProviderWithOptions)[] | undefined;
  /** Whether to fail if the first of `providers` cannot run the model, and not try the next. Default false. */
  readonly strict?: boolean | undefined;
  /**
   * How GroupNormalization nodes run. Default: by the native kernel if it is installed, otherwise rewritten as
   * `reduce-mean`, because ONNX Runtime has no kernel of its own. By default a session also rewrites
   * InstanceNormalization, and LayerNormalization over rows of more than 1,024 elements or of unknown length, because
   * ONNX Runtime adds up a whole row in one float32.
   *
   * - `op` on `cpu` runs ONNX Runtime's inlined definition. It is slow, and wrong for inputs whose mean is large
   *   compared with their deviation.
   * - `instance-norm` and `layer-norm` leave the operator of that name to ONNX Runtime's own kernel; `op` leaves both.
   *   (ONNX Runtime has no float64 kernel for InstanceNormalization, so that is always rewritten.)
   * - `contrib-group-norm` is ONNX Runtime's `com.microsoft.GroupNorm`. It runs on `cuda` only, on (N, C, H, W) tensors
   *   of float32 or float16 with an even number of at most 512 channels per group.
   */
  readonly groupNorm?: SessionLoweringName | undefined;
  /** How large the parts of the model may be: other numbers in place of the defaults of {@link Limits}. */
  readonly limits?: Partial<Limits> | undefined;
}

/** A loaded model. */
export interface Session {
  /**
   * The tensors that {@link Session.run} takes, in the model's order: the required inputs, and then the optional inputs.
   * An input is optional if the model has an initializer of its name, which is its default value. (Up to version 3 of
   * ONNX's file format every initializer is listed as an input; like ONNX Runtime, sessions take those as constants.)
   */
  readonly inputs: readonly TensorInfo[];
  /** The tensors that {@link Session.run} returns, in the model's order. */
  readonly outputs: readonly TensorInfo[];
  /**
   * The execution provider that runs the model. If a provider has kernels for only a part of the model, the first run
   * shows whether it runs any node; if it runs none, the next provider of the list takes over and is named here.
   */
  readonly provider: Provider;
  /**
   * The providers that were asked for before `provider`, in their order, and why each does not run the model. Also
   * `native`, if `cpu` runs the model without the native kernel because the kernel is missing here.
   */
  readonly fallbacks: readonly ProviderFallback[];
  /**
   * How GroupNormalization runs, in whatever form the model holds it: as the operator, as PyTorch exports it below
   * opset 21, or written out in arithmetic. `undefined` if the model has none, or runs ONNX Runtime's inlined definition.
   */
  readonly groupNorm: GroupNormExecution | undefined;
  /** The layout of the tensors that GroupNorm reads and writes between convolutions. */
  readonly layout: 'plain' | 'blocked';
  /** Why the layout is plain; `undefined` if it is blocked, or if the caller asked for `plain`. */
  readonly layoutReason: string | undefined;
  /**
   * Runs the model. With the native kernel the event loop stays free, and several runs may be in progress at once.
   * They read tensors of {@link Session.allocate}, results of other runs and shared memory in place, so leave these
   * unchanged until the run has ended. They copy other inputs before `run` returns.
   * @param feeds One tensor for each input, of the input's dtype, rank and fixed sizes: of this library, or of
   *   onnxruntime with its data on the CPU. Data of float16 may be a Float16Array if the JavaScript engine has it.
   *   Optional inputs may be left out. Except with the native kernel, the first run that gives certain optional inputs
   *   loads the model once more, for runs that give these.
   * @returns Every output of `fetches` by name. Data of float16 and bfloat16 are the 16 bits of each element in a
   *   Uint16Array. TypeScript knows the type of `y.data` behind `if (y.dtype === 'float32')`, and by name:
   *   `run<{ y: TensorData<'float32'>; label: StringTensor }>`, which outputs of texts need.
   * @throws SessionError `INPUT_*` if the feeds do not fit, `OUTPUT_INVALID` if the given outputs do not,
   *   `PROVIDER_UNAVAILABLE` if the first run shows that no provider of the list can run the model, `OUT_OF_MEMORY`,
   *   `RUN_FAILED` if ONNX Runtime fails, `ABORTED`, `DISPOSED`. OptionError for an option that does not exist.
   */
  run<Outputs extends AnyTensorRecord = Record<string, TensorData>>(
    feeds: Feeds,
    options?: RunOptions,
  ): Promise<RunResults<Outputs>>;
  /**
   * Returns a tensor of zeros. With the native kernel, runs of any session read it as an input, and write it as a given
   * output, without a copy. On other providers it is an ordinary tensor. It outlives the session.
   * @throws TensorError `TENSOR_INVALID`, SessionError `OUT_OF_MEMORY`, `DISPOSED`.
   */
  allocate<D extends DType>(dtype: D, dims: readonly number[]): AllocatedTensor<D>;
  /** Frees the model after all runs have ended. May be called again; `run` afterwards is an error. */
  dispose(): Promise<void>;
  /** Calls `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The options of one run as a backend gets them: checked, and with this library's tensors only. */
export interface BackendRunOptions extends Omit<RunOptions, 'fetches' | 'outputs'> {
  readonly fetches: readonly string[];
  readonly outputs?: TensorRecord | undefined;
}

/** The layout in which a model runs GroupNorm. */
export interface LoadedLayout {
  readonly layout: 'plain' | 'blocked';
  /** Why the layout is plain; `undefined` if it is blocked, or if the caller asked for `plain`. */
  readonly layoutReason: string | undefined;
}

/** A model that a backend has loaded. It throws the runtime's own errors: the session gives them their type. */
export interface LoadedModel {
  /** Absent if the backend has plain layout only. */
  readonly inLayout?: LoadedLayout;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  run(feeds: AnyTensorRecord, options: BackendRunOptions): Promise<Record<string, AnyTensor>>;
  /** Returns a tensor of zeros that runs read and write without a copy. Absent if the backend copies all tensors. */
  allocate?(dtype: DType, dims: readonly number[]): TensorData;
  /** Empties tensors that `run` or `allocate` returned, and frees their memory. Absent if only V8 can free it. */
  release?(tensors: readonly TensorData[]): void;
  dispose(): Promise<void>;
}

/** One thing that keeps a provider from being used here. */
export interface ProviderProblem {
  /** What is missing or wrong. */
  readonly reason: string;
  /** What to do about it; `undefined` if nothing helps. */
  readonly remedy?: string;
}

/** Tells whether a name belongs to a set. */
export type NameSet = Pick<ReadonlySet<string>, 'has'>;

/** A model for a runtime, with the facts that backends need, so that no backend decodes the bytes again. */
export interface ModelToLoad {
  readonly bytes: Uint8Array;
  /** Inputs and outputs without a declared shape. ONNX Runtime describes them like scalars. */
  readonly unranked: NameSet;
  /** Files that weights lie in, relative to the model's folder, without those that the backend has in memory. */
  readonly externalLocations: readonly string[];
  /** What the model names as a file of weights, though it is in memory. Absent if there is no such file. */
  readonly fileInMemory?: { readonly location: string; readonly bytes: Uint8Array };
  /** ONNX Runtime's optimizers that would change the results of this model. */
  readonly wrongOptimizers: readonly string[];
  /** Whether a GroupNorm of the native kernel lies between 2-D convolutions, so that the blocked layout may serve it. */
  readonly hasNormBetweenConvolutions: boolean;
}

/** A build of ONNX Runtime that runs models on one provider. */
export interface Backend {
  readonly provider: Provider;
  /** Whether it has a kernel for GroupNormalization, so that the standard operator stays in the model. */
  readonly hasGroupNormKernel: boolean;
  /** Whether it accepts bfloat16 tensors. */
  readonly takesBfloat16: boolean;
  /** Whether it was given the content of a file of external data. Absent if it was given none. */
  readonly hasFile?: (name: string) => boolean;
  /** Whether it reads large weights out of JavaScript's memory, so that they need not be in the bytes of the model. */
  readonly readsWeightsInMemory?: boolean;
  /** Whether its runs take values for optional inputs. */
  readonly takesOptionalInputs: boolean;
  /**
   * Says why it cannot be used here: the problems in the order in which to solve them; `undefined` or an empty list
   * if it can be used.
   */
  whyUnavailable(options?: ProviderOptions): string | undefined | Promise<readonly ProviderProblem[]>;
  /**
   * @param externalDataFolder The folder or URL of the model's external data; `undefined` if it has none.
   * @throws SessionError `PROVIDER_UNAVAILABLE` if the provider is at fault, so that another may run the model.
   */
  load(
    model: ModelToLoad,
    externalDataFolder: string | undefined,
    options: BackendOptions,
    providerOptions?: ProviderOptions,
  ): Promise<LoadedModel>;
}

/** A model's bytes, and its name in messages. */
export interface ModelSource {
  readonly bytes: Uint8Array;
  readonly where: string;
  /** The folder or URL that external data is relative to; `undefined` for a model that was given as bytes. */
  readonly folder: string | undefined;
  /** Reads the bytes again, so that the session need not keep them; `undefined` if they have changed. */
  readonly readAgain?: () => Promise<Uint8Array | undefined>;
}

/** What sessions need from Node or from the browser. */
export interface Platform {
  /** The provider that runs a model if the caller names none. */
  readonly defaultProvider: Provider;
  /** The backends of each provider, best first. A provider without an entry does not exist on this platform. */
  readonly backends: Readonly<Partial<Record<Provider, readonly Backend[]>>>;
  /** Reads a model by its path or URL. */
  readModel(name: string): Promise<ModelSource>;
  /**
   * Says what is wrong with a file of weights, as far as the platform can tell without reading it; `undefined` if a
   * runtime may read it. The words follow the name of the file: 'which is not beside the model'.
   * @param model The path or URL of the model.
   * @param size How many bytes the file must have.
   */
  dataFileProblem(model: string, location: string, size: number): string | undefined;
  /**
   * Returns where the files of weights are once links are followed, if that differs from the paths in the model. Absent on
   * a platform without links.
   */
  followDataLinks?(model: string, locations: readonly string[]): RealDataFiles | undefined;
  /** Tells the user that a session runs without a better backend of its provider, and how to get that. */
  warnOfLost?(problems: readonly ProviderProblem[]): void;
}
