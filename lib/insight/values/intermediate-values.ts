/**
 * The values inside a model, as runs compute them. A run returns only outputs, so the values that are asked for become
 * outputs of a copy of the model:
 *
 *     model + feeds ─▶ ModelRun.open ─▶ names, whyNot ─▶ slices(names, maxBytes) ─▶ tensors, one slice at a time
 *
 * A value that is an output cannot be computed in passing: the session does not merge a GroupNorm that has such a value
 * inside, the native kernel does not take the activation behind a norm along, and ONNX Runtime does not fuse a Conv with
 * its Relu. `names` therefore leaves out the values that the session itself merges or fuses. ONNX Runtime's own fusions
 * are not known here, and do not happen around the values of a slice. The outputs of the model come from the model as it is.
 */
import { SessionError } from '../../errors.js';
import { NO_LIMITS, requireLimits } from '../../limits.js';
import { Model } from '../../onnx/model.js';
import type { NodeMessage, ValueInfoMessage } from '../../onnx/protobuf/messages.js';
import { encodeValueInfo } from '../../onnx/graph/value-info.js';
import { keepOutputs } from '../../rewrite/analysis/dead-code.js';
import { ValueTypes } from '../../rewrite/analysis/value-types.js';
import type {
  Feeds,
  ModelSource,
  Platform,
  RunResults,
  Session,
  SessionOptions,
  TensorInfo,
} from '../../runtime/core/contract.js';
import { openSource, sourceOf } from '../../runtime/session/open.js';
import { isOrtFormat } from '../../runtime/model/ort-format.js';
import { prepareModel } from '../../runtime/model/prepare.js';
import { toOwnTensor } from '../../runtime/core/tensors.js';
import {
  bytesPerElement,
  type DType,
  elementCount,
  isStatic,
  isStringTensor,
  type TensorData,
  UNKNOWN_DIM,
} from '../../tensor.js';

/** What to run, and how. */
export interface ModelRunOptions {
  /** A tensor for each input of the model, or a function that returns these. */
  readonly feeds: Feeds | ((inputs: readonly TensorInfo[]) => Feeds | Promise<Feeds>);
  /** How to load the model. */
  readonly session?: SessionOptions | undefined;
  /** What messages call the run. Default: the path of the model, or `model` for bytes. */
  readonly label?: string | undefined;
}

/** Tensors by the name of the value. They hold memory of the runtime until `dispose`, which leaves their data empty. */
export interface HeldValues {
  readonly tensors: ReadonlyMap<string, TensorData>;
  dispose(): void;
}

/**
 * A model with its feeds, whose values can be read. It holds one loaded copy of the model at a time, until `dispose`.
 *
 *     const run = await ModelRun.open(NODE, 'model.onnx', { feeds });
 *     try {
 *       for await (const tensors of run.slices(run.names, 2 ** 28)) …
 *     } finally {
 *       await run.dispose();
 *     }
 */
export class ModelRun {
  /**
   * The values that the session computes as the model has them, in the order of the graph: results of nodes, without
   * constants, without values that no output needs, and without values inside of what the session merges or fuses. Then the
   * outputs that no node makes.
   */
  readonly names: readonly string[];
  readonly #types: ValueTypes;
  /** Why a value cannot be read, by its name. */
  readonly #reasons = new Map<string, string>();
  readonly #dtypes = new Map<string, DType>();
  /** The bytes of values. */
  readonly #sizes = new Map<string, number>();
  /** The last session that was opened, and which values are its outputs besides those of the model. */
  #loaded: { readonly session: Session; readonly key: string };
  readonly #outputs: ReadonlySet<string>;
  #allNames: ReadonlySet<string> | undefined;

  private constructor(
    readonly platform: Platform,
    readonly source: ModelSource,
    readonly options: SessionOptions,
    /** The decoded model. */
    readonly model: Model,
    session: Session,
    /** What messages call the run. */
    readonly label: string,
    readonly feeds: Feeds,
  ) {
    this.#types = new ValueTypes(model);
    this.#outputs = new Set(model.outputNames);
    this.#loaded = { session, key: keyOf([]) };
    for (const [name, type] of model.notTensors()) this.#reasons.set(name, `it is ${type}`);
    if (session.provider !== 'native') this.#reasons.set(LOST_NAME, LOST);
    this.#findReasons(session, model.outputNames);
    this.names = this.#namesAsRun();
  }

  /**
   * Loads a model.
   * @param model The path (in a browser: the URL) of an `.onnx` file, with its files of weights beside it, or its bytes.
   * @throws What `createSession` throws; SessionError `MODEL_REJECTED` for a file in ONNX Runtime's own format.
   */
  static async open(
    platform: Platform,
    model: string | Uint8Array,
    options: ModelRunOptions,
  ): Promise<ModelRun> {
    return ModelRun.#open(platform, await sourceOf(platform, model), options);
  }

  static async #open(
    platform: Platform,
    source: ModelSource,
    { session: asked, label, feeds: given }: ModelRunOptions,
  ): Promise<ModelRun> {
    // Values between blocked operators are plain once a run returns them, so that the layout would gain little.
    const sessionOptions = { ...asked, layout: asked?.layout ?? 'plain' };
    if (isOrtFormat(source.bytes)) {
      throw new SessionError(
        'MODEL_REJECTED',
        `${source.where}: a file in ONNX Runtime's own format (.ort) does not show its values: give the .onnx file that ` +
          'it was made from',
      );
    }
    const limits = requireLimits('createSession', sessionOptions.limits);
    const decoded = Model.decode(source.bytes, source.where, limits);
    const session = await openSource(platform, source, sessionOptions);
    try {
      const feeds = typeof given === 'function' ? await given(session.inputs) : given;
      return new ModelRun(platform, source, sessionOptions, decoded, session, label ?? source.where, feeds);
    } catch (error) {
      await session.dispose();
      throw error;
    }
  }

  /** Loads other bytes of the model, to run them on the same feeds. Dispose of this run before, if memory is short. */
  reopen(bytes: Uint8Array): Promise<ModelRun> {
    const { where, folder } = this.source;
    const session = { ...this.options, limits: NO_LIMITS };
    const { feeds, label } = this;
    return ModelRun.#open(this.platform, { bytes, where, folder }, { feeds, label, session });
  }

  /** The provider that runs the model, how GroupNorm runs, and the providers that were passed over. */
  get execution(): Pick<Session, 'provider' | 'groupNorm' | 'fallbacks'> {
    const { provider, groupNorm, fallbacks } = this.#loaded.session;
    return { provider, groupNorm, fallbacks };
  }

  /**
   * Says why a value cannot be read: `it is a sequence`; `undefined` if it can. Inputs can be read: they are the feeds. What
   * ONNX Runtime alone knows is known after {@link readable}.
   */
  whyNot(name: string): string | undefined {
    const { index } = this.model;
    const reason = this.#reasons.get(name);
    const isThere = index.producer(name) || this.#outputs.has(name) || this.#feed(name);
    if (reason !== undefined || isThere) return reason;
    if (index.declaredInputs.has(name)) return 'it is an input without a feed of numbers';
    if (this.model.typeOf(name)) return 'it is a weight: no node computes it';
    this.#allNames ??= this.model.names();
    return this.#allNames.has(name)
      ? 'it lies in the body of an If, Loop or Scan'
      : 'the graph has no value of this name';
  }

  /**
   * Yields the values that can be read, a slice at a time. The tensors are empty once the next slice is asked for.
   * @param maxBytes The most bytes of a slice. A larger value comes alone, and the outputs of the model come together.
   * @throws What `session.run` throws.
   */
  async *slices(
    names: readonly string[],
    maxBytes: number,
  ): AsyncGenerator<ReadonlyMap<string, TensorData>, void> {
    for (const slice of await this.plan(names, maxBytes)) {
      const held = await this.read(slice);
      try {
        yield held.tensors;
      } finally {
        held.dispose();
      }
    }
  }

  /**
   * Returns the names that can be read. If ONNX Runtime alone knows which of the values are tensors, it loads the model once
   * more.
   */
  async readable(names: readonly string[]): Promise<string[]> {
    const wanted = [...new Set(names)];
    await this.#findTensors(wanted.filter((name) => this.#isInner(name)));
    return wanted.filter((name) => this.whyNot(name) === undefined);
  }

  /**
   * Returns the names that can be read in slices, for {@link read}. If only a run knows the sizes of values, a run returns
   * the shapes.
   */
  async plan(names: readonly string[], maxBytes: number): Promise<string[][]> {
    const readable = await this.readable(names);
    const inner = readable.filter((name) => this.#isInner(name));
    await this.#measure(inner);
    const atOnce = readable.filter((name) => !this.#isInner(name));
    const slices = atOnce.length > 0 ? [atOnce] : [];
    let [slice, bytes]: [string[], number] = [[], 0];
    for (const name of inner) {
      const size = this.#sizes.get(name) ?? Infinity;
      if (slice.length > 0 && bytes + size > maxBytes) {
        slices.push(slice);
        [slice, bytes] = [[], 0];
      }
      slice.push(name);
      bytes += size;
    }
    return slice.length > 0 ? [...slices, slice] : slices;
  }

  /** Reads the values of one slice of {@link plan}, in one run. */
  async read(names: readonly string[]): Promise<HeldValues> {
    const tensors = new Map<string, TensorData>();
    for (const name of names) {
      const feed = this.#feed(name);
      if (feed) tensors.set(name, feed);
    }
    if (tensors.size === names.length) return { tensors, dispose: () => undefined };
    const inner = names.filter((name) => this.#isInner(name));
    const results = await this.#run(inner.map((name) => this.#outputFor(name)));
    for (const name of names) if (!tensors.has(name)) tensors.set(name, results[name]!);
    // A value may be named `dispose`, and then hides the method.
    return { tensors, dispose: () => results[Symbol.dispose]?.() };
  }

  /** Frees the model. */
  async dispose(): Promise<void> {
    await this.#loaded.session.dispose();
  }

  /** Prepares the model as the session did, and returns the values that are left. */
  #namesAsRun(): string[] {
    const { bytes, where } = this.source;
    const { provider } = this.#loaded.session;
    const backend = {
      provider,
      hasGroupNormKernel: provider === 'native',
      takesBfloat16: true,
      hasFile: () => true,
    };
    const { groupNorm } = this.options;
    const prepared = prepareModel(bytes, where, () => undefined, groupNorm, backend, undefined, NO_LIMITS);
    const run = Model.decode(prepared.bytes, where, NO_LIMITS);
    keepOutputs(run, new Set(run.outputNames));
    const computed = new Set(run.nodes.flatMap(({ outputs }) => outputs));
    const made = this.model.nodes
      .filter(({ opType, domain }) => opType !== 'Constant' || domain !== '')
      .flatMap(({ outputs }) => outputs)
      .filter((name) => name !== '' && computed.has(name));
    return [...made, ...this.model.outputNames.filter((name) => !this.model.index.producer(name))];
  }

  /** Returns whether a value must become an output: a node computes it, and the model does not return it. */
  #isInner(name: string): boolean {
    return this.model.index.producer(name) !== undefined && !this.#outputs.has(name);
  }

  #feed(name: string): TensorData | undefined {
    const { feeds } = this;
    if (this.model.index.producer(name) || !Object.hasOwn(feeds, name)) return undefined;
    const feed = toOwnTensor(feeds[name]!, `input '${name}'`);
    return isStringTensor(feed) ? undefined : feed;
  }

  /** Finds out from ONNX Runtime which values are tensors, where the model does not tell. */
  async #findTensors(names: readonly string[]): Promise<void> {
    const unknown = names.filter(
      (name) => !this.#reasons.has(name) && !this.#dtypes.has(name) && !this.#types.typeOf(name).dtype,
    );
    if (unknown.length === 0) return;
    try {
      this.#findReasons(await this.#load(unknown.map((name) => ({ name }))), unknown);
    } catch (error) {
      if (!(error instanceof SessionError && error.code === 'MODEL_REJECTED')) throw error;
      // onnxruntime-node and onnxruntime-web refuse the whole model if one output is of float8.
      for (const name of unknown) this.#reasons.set(name, NO_DTYPE);
    }
  }

  #findReasons({ outputs }: Session, names: readonly string[]): void {
    const dtypes = new Map(outputs.map(({ name, dtype }) => [name, dtype]));
    for (const name of names) {
      const dtype = dtypes.get(name);
      if (dtype === undefined) this.#reasons.set(name, this.#reasons.get(name) ?? NOT_A_TENSOR);
      else if (dtype === 'string') this.#reasons.set(name, TEXTS);
      else this.#dtypes.set(name, dtype);
    }
  }

  #dtypeOf(name: string): DType | undefined {
    return this.#types.typeOf(name).dtype ?? this.#dtypes.get(name);
  }

  /**
   * Finds the bytes of values: by their declared types, by what follows from the sizes of the feeds, or else by a run that
   * returns the shapes.
   */
  async #measure(names: readonly string[]): Promise<void> {
    const unknown: string[] = [];
    let forFeeds: ValueTypes | undefined;
    for (const name of names) {
      if (this.#sizes.has(name)) continue;
      const declared = this.#types.typeOf(name).shape;
      const shape =
        declared && isStatic(declared) ? declared : (forFeeds ??= this.typesForFeeds()).typeOf(name).shape;
      if (shape && isStatic(shape)) this.#setSize(name, shape);
      else unknown.push(name);
    }
    if (unknown.length === 0 || this.model.opset === 0 || this.model.redefinesOperators()) return;
    const taken = (this.#allNames ??= this.model.names());
    let prefix = 'shape';
    while (unknown.some((_, index) => taken.has(`${prefix}_${index}`))) prefix += '_';
    const nodes = unknown.map((name, index) => ({
      opType: 'Shape',
      input: [name],
      output: [`${prefix}_${index}`],
    }));
    const results = await this.#run(
      nodes.map(({ output: [name] }) => ({ name: name! })),
      nodes,
    );
    unknown.forEach((name, index) => {
      const { data } = results[`${prefix}_${index}`]!;
      this.#setSize(name, Array.from(data as BigInt64Array, Number));
    });
  }

  /** Returns what follows from the sizes of the feeds, in place of the sizes and names that the model declares. */
  typesForFeeds(): ValueTypes {
    const { bytes, where } = this.source;
    const model = Model.decode(bytes, where, NO_LIMITS);
    model.removeOutputs(() => true);
    model.removeDeclared((name) => this.model.index.producer(name) !== undefined);
    model.declareInputs((name) => this.#feed(name)?.dims);
    return new ValueTypes(model);
  }

  #setSize(name: string, dims: readonly number[]): void {
    this.#sizes.set(name, elementCount(dims) * bytesPerElement(this.#dtypeOf(name)!));
  }

  /** Declares no type, which ONNX Runtime infers, except where sessions must cast the dtype. */
  #outputFor(name: string): ValueInfoMessage {
    const { dtype, shape } = this.#types.typeOf(name);
    if (dtype !== 'bfloat16' || !shape) return { name };
    return encodeValueInfo({ name, dtype, shape: shape.map(() => UNKNOWN_DIM) });
  }

  async #run(added: readonly ValueInfoMessage[], nodes: readonly NodeMessage[] = []): Promise<RunResults> {
    const session = await this.#load(added, nodes);
    const outputs = session.outputs.filter(
      ({ name, dtype }) => dtype !== undefined && this.#reasons.get(name) !== LOST,
    );
    return session.run(this.feeds, { fetches: outputs.map(({ name }) => name) });
  }

  /** Loads the model with more outputs, in place of the session before. */
  async #load(added: readonly ValueInfoMessage[], nodes: readonly NodeMessage[] = []): Promise<Session> {
    const key = keyOf(added);
    if (this.#loaded.key === key) return this.#loaded.session;
    await this.#loaded.session.dispose();
    this.#loaded = { session: this.#loaded.session, key: NOT_LOADED };
    const { source, platform, options } = this;
    let { bytes } = source;
    if (added.length > 0) {
      const model = Model.decode(bytes, source.where, NO_LIMITS);
      const others = model.notTensors();
      model.removeOutputs((name) => others.has(name));
      model.addNodes(nodes);
      model.addOutputs(added);
      bytes = model.encode();
    }
    const { where, folder } = source;
    const session = await openSource(platform, { bytes, where, folder }, { ...options, limits: NO_LIMITS });
    this.#loaded = { session, key };
    return session;
  }
}

const keyOf = (added: readonly ValueInfoMessage[]): string => JSON.stringify(added.map(({ name }) => name));

/** The key of a session that is disposed of, and that no values have. */
const NOT_LOADED = '';
/** onnxruntime-node and onnxruntime-web (1.32) assign results to an object, where this name sets the prototype. */
const LOST_NAME = '__proto__';
const LOST = 'the packages of ONNX Runtime for JavaScript lose a value of this name';
const NO_DTYPE = 'the model does not tell its dtype, and ONNX Runtime does not return it';
const NOT_A_TENSOR = 'it is not a tensor, or of a dtype that sessions do not return';
const TEXTS = 'it is a tensor of texts';
