/** What a session is to its callers. */
import type { SessionLoweringName } from '../lowering/index.js';
import type { TensorData } from '../tensor.js';
import type { BackendOptions, RunOptions, TensorInfo, TensorRecord } from './backend.js';
import type { GroupNormExecution } from './prepare.js';
import type { Provider, ProviderFallback } from './providers.js';

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
   * Runs the model. With the native kernel the event loop stays free, and several runs may be under way at once;
   * their inputs are read where they lie, so leave them unchanged until the run has ended.
   * @param feeds One tensor for each input, of its dtype, rank and fixed dimensions. Data of float16 may be a
   *   Float16Array where the engine has it.
   * @returns Every output by name; float16 as its 16 bits.
   * @throws SessionError `INPUT_*` if the feeds do not fit, `OUTPUT_INVALID` if the given outputs do not,
   *   `RUN_FAILED` if the runtime fails, `ABORTED`, `DISPOSED`; OptionError.
   */
  run(feeds: TensorRecord, options?: RunOptions): Promise<Record<string, TensorData>>;
  /** Frees the model once what runs has ended. May be called again; `run` afterwards is an error. */
  dispose(): Promise<void>;
}
