/** The session that users see: it checks tensors, runs the model, and moves to the next provider if one falls short. */
import { typeName } from '../../arrays.js';
import { endsBy } from '../../disposal.js';
import { OptionError, SessionError } from '../../errors.js';
import { castTensor } from '../../half.js';
import { requireKnownOptions } from '../../options.js';
import {
  allocate,
  type AnyTensor,
  type DType,
  elementCount,
  formatShape,
  isStringTensor,
  requireTensorType,
  tensor,
  type TensorData,
} from '../../tensor.js';
import type {
  AllocatedTensor,
  AnyTensorRecord,
  BackendRunOptions,
  Feeds,
  GroupNormExecution,
  LoadedLayout,
  LoadedModel,
  Provider,
  ProviderFallback,
  RunOptions,
  RunResults,
  Session,
  TensorInfo,
} from '../core/contract.js';
import { canFallBackAfterRun, withTypedErrors } from '../core/errors.js';
import type { OpenedModel, Opening } from './load.js';
import { disposableResults, disposableTensor, type Release } from '../core/owned.js';
import { checkFeeds, checkFetches, checkOutputs, copyInto, copyTensors } from '../core/tensors.js';

const RUN_OPTIONS: readonly (keyof RunOptions)[] = ['fetches', 'outputs', 'signal', 'sync'];
/** onnxruntime takes a list of outputs as the second argument. */
const RUN_HINTS = { 0: "to choose outputs, write run(feeds, { fetches: ['name'] })" };

/** The model that a session runs at present, and the runs of it that are in progress. */
interface Current {
  readonly opened: OpenedModel;
  readonly started: Set<Promise<unknown>>;
}

const currentOf = (opened: OpenedModel): Current => ({ opened, started: new Set() });

export class RuntimeSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** The runs, and the freeing of earlier models, that must end before the session is disposed of. */
  readonly #running = new Set<Promise<unknown>>();
  #current: Current;
  #next: Opening['next'];
  #moving: Promise<void> | undefined;
  #disposed = false;

  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  static {
    endsBy(this.prototype, Symbol.asyncDispose, 'dispose');
  }

  constructor({ opened, next }: Opening) {
    const { loaded, bfloat16, optionalInputs } = opened;
    this.#current = currentOf(opened);
    this.#next = next;
    const own = (info: TensorInfo): TensorInfo =>
      bfloat16.has(info.name) ? { ...info, dtype: 'bfloat16' } : info;
    this.inputs = [...loaded.inputs.map(own), ...optionalInputs];
    this.outputs = loaded.outputs.map(own);
  }

  get provider(): Provider {
    return this.#current.opened.provider;
  }

  get fallbacks(): readonly ProviderFallback[] {
    return this.#current.opened.fallbacks;
  }

  get groupNorm(): GroupNormExecution | undefined {
    return this.#current.opened.groupNorm;
  }

  get layout(): LoadedLayout['layout'] {
    return this.#current.opened.loaded.inLayout?.layout ?? 'plain';
  }

  get layoutReason(): string | undefined {
    const { loaded, provider } = this.#current.opened;
    return loaded.inLayout
      ? loaded.inLayout.layoutReason
      : `the provider '${provider}' has plain layout only`;
  }

  async run<Outputs extends AnyTensorRecord = Record<string, TensorData>>(
    feeds: Feeds,
    options: RunOptions = {},
  ): Promise<RunResults<Outputs>> {
    this.#requireOpen();
    requireKnownOptions('run', options, RUN_OPTIONS, RUN_HINTS);
    const { signal, sync } = options;
    requireSignal(signal);
    requireSync(options);
    const checked = checkFeeds(this.inputs, feeds);
    // If the first run moves to the next provider, that provider reads the feeds later: the caller may change them.
    const tensors = this.#next === undefined ? checked : copyTensors(checked);
    const outputs = checkOutputs(this.outputs, options.outputs ?? {}, checked);
    const fetches = checkFetches(this.outputs, options.fetches, outputs);
    const running = this.#runOn(this.#current, tensors, { signal, sync, fetches, outputs });
    this.#running.add(running);
    try {
      return (await running) as RunResults<Outputs>;
    } finally {
      this.#running.delete(running);
    }
  }

  allocate<D extends DType>(dtype: D, dims: readonly number[]): AllocatedTensor<D> {
    this.#requireOpen();
    requireTensorType(dtype, dims);
    const { loaded } = this.#current.opened;
    try {
      const made = loaded.allocate?.(dtype, dims) ?? tensor(dtype, dims, allocate(dtype, elementCount(dims)));
      return disposableTensor(made, releaseOf(loaded)) as AllocatedTensor<D>;
    } catch (cause) {
      const what = `there is not enough memory for a ${dtype} tensor of shape ${formatShape(dims)}`;
      throw new SessionError('OUT_OF_MEMORY', what, { cause });
    }
  }

  #requireOpen(): void {
    if (this.#disposed)
      throw new SessionError('DISPOSED', 'this session is disposed of: create another session');
  }

  async dispose(): Promise<void> {
    const isFirst = !this.#disposed;
    this.#disposed = true;
    // A run that moves to the next provider adds the freeing of its first model here.
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    this.#next = undefined;
    if (isFirst) await this.#current.opened.loaded.dispose();
  }

  async #runOn(
    current: Current,
    feeds: AnyTensorRecord,
    options: BackendRunOptions,
  ): Promise<RunResults<AnyTensorRecord>> {
    requireNotAborted(options.signal);
    const { opened, started } = current;
    const running = withTypedErrors('RUN_FAILED', 'ONNX Runtime could not run the model', () =>
      runOpened(opened, feeds, options),
    );
    started.add(running);
    let refusal: SessionError;
    try {
      const results = await running;
      // The provider can run the model, so nothing needs to keep the model's bytes for the next one.
      if (this.#current === current) this.#next = undefined;
      const given = Object.values(options.outputs ?? {});
      const own = Object.values(results).filter(
        (value): value is TensorData => !isStringTensor(value) && !given.includes(value),
      );
      const release = releaseOf(opened.loaded);
      if (options.signal?.aborted) release(own);
      return disposableResults(results, own, release);
    } catch (error) {
      if (!canFallBackAfterRun(error)) throw error;
      refusal = error;
    } finally {
      started.delete(running);
      // An aborted run fails, or ends before it could be stopped, with a result that the caller does not want.
      requireNotAborted(options.signal);
    }
    await this.#moveToNextProvider(current, refusal);
    return this.#runOn(this.#current, feeds, options);
  }

  /** Moves to the next provider of the list. Several runs may fail at once: the first one moves, and all wait. */
  async #moveToNextProvider(from: Current, refusal: SessionError): Promise<void> {
    if (this.#current !== from) return;
    if (!this.#next) throw refusal;
    this.#moving ??= this.#openNext(from, this.#next(refusal)).finally(() => (this.#moving = undefined));
    await this.#moving;
  }

  async #openNext({ opened, started }: Current, opening: Promise<Opening>): Promise<void> {
    const to = await opening;
    this.#current = currentOf(to.opened);
    this.#next = to.next;
    // No run waits for this, and no result depends on whether the runtime can free the model.
    const freeing = Promise.allSettled(started)
      .then(() => opened.loaded.dispose())
      .catch(() => undefined)
      .finally(() => this.#running.delete(freeing));
    this.#running.add(freeing);
  }
}

const releaseOf =
  (loaded: LoadedModel): Release =>
  (tensors) =>
    loaded.release?.(tensors);

/** Runs the model, in float32 instead of bfloat16 if the provider does not take bfloat16. */
const runOpened = (
  opened: OpenedModel,
  feeds: AnyTensorRecord,
  options: BackendRunOptions,
): Promise<Record<string, AnyTensor>> => {
  if (opened.needsElements) requireElements(feeds);
  return opened.bfloat16.size === 0
    ? opened.loaded.run(feeds, options)
    : runWithoutBfloat16(opened, feeds, options);
};

/** In ONNX models, sessions lead empty inputs past the nodes that would end the process. */
function requireElements(feeds: AnyTensorRecord): void {
  const empty = Object.entries(feeds).find(([, { dims }]) => elementCount(dims) === 0);
  if (!empty) return;
  const what = `input '${empty[0]}' has no elements`;
  throw new SessionError(
    'RUN_FAILED',
    `${what}: ONNX Runtime's kernel for InstanceNormalization would end the process. Give at least one element`,
  );
}

/** Runs the model with feeds, results and given outputs cast between bfloat16 and float32. */
async function runWithoutBfloat16(
  { loaded, bfloat16 }: OpenedModel,
  feeds: AnyTensorRecord,
  options: BackendRunOptions,
): Promise<Record<string, AnyTensor>> {
  const given = Object.entries(options.outputs ?? {});
  const outputs = Object.fromEntries(given.filter(([name]) => !bfloat16.has(name)));
  const results = await loaded.run(cast(feeds, bfloat16, 'float32'), { ...options, outputs });
  const narrow = cast(results, bfloat16, 'bfloat16');
  for (const [name, value] of given) {
    if (bfloat16.has(name)) narrow[name] = copyInto(name, value, narrow[name] as TensorData);
  }
  return narrow;
}

const cast = (
  tensors: AnyTensorRecord,
  names: ReadonlySet<string>,
  dtype: 'float32' | 'bfloat16',
): Record<string, AnyTensor> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, value]) => [
      name,
      names.has(name) ? castTensor(value as TensorData, dtype) : value,
    ]),
  );

function requireSignal(signal: unknown): void {
  if (signal === undefined || typeName(signal) === 'AbortSignal') return;
  throw new OptionError('INVALID_OPTION', "run: 'signal' must be an AbortSignal");
}

function requireSync({ sync, signal }: RunOptions): void {
  if (sync === undefined || sync === false) return;
  if (sync !== true) throw new OptionError('INVALID_OPTION', "run: 'sync' must be true or false");
  if (signal === undefined) return;
  throw new OptionError(
    'INVALID_OPTION',
    "run: a run with 'sync' blocks the thread, so 'signal' cannot abort it: leave out one of the two",
  );
}

function requireNotAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new SessionError('ABORTED', 'the run was aborted', { cause: signal.reason });
}
