/**
 * Variants of a model, each loaded when a run first needs it: without the nodes of outputs that a run does not ask for,
 * which ONNX Runtime would run all the same; without the initializers of optional inputs that a run gives, on runtimes
 * whose JavaScript interface takes no values for these; and, where the model has names for sizes, for the sizes that two
 * runs in a row have first, because normalizations of rows of a known length run faster. Runs of other sizes use the model with
 * the names, and so does a first run, which may be the only one.
 */
import { NO_LIMITS } from '../../../limits.js';
import { Model } from '../../../onnx/model.js';
import { keepOutputs } from '../../../rewrite/analysis/dead-code.js';
import type { AnyTensor, DType, TensorData } from '../../../tensor.js';
import type {
  AnyTensorRecord,
  BackendRunOptions,
  LoadedLayout,
  LoadedModel,
  ModelToLoad,
  TensorInfo,
} from '../contract.js';
import type { FixedSizes, PreparedModel } from './prepare.js';
import { copyTensors } from '../tensors.js';

/** The most sets of outputs that have variants, which bounds the memory. Runs with other sets compute all outputs. */
const MAX_OUTPUT_SETS = 4;

export interface VariantSource {
  /** The optional inputs whose values need a variant. */
  readonly optionalInputs: readonly string[];
  /** Whether runs that do not ask for all outputs have variants. */
  readonly prunes: boolean;
  /** Returns the model that was loaded; `undefined` if it cannot be had again. */
  readonly prepared: () => Promise<PreparedModel | undefined>;
  readonly load: (model: ModelToLoad) => Promise<LoadedModel>;
}

/** Returns the model for inputs of these sizes; `undefined` if it cannot be had again. */
type PreparedFor = (sizes: FixedSizes) => Promise<PreparedModel | undefined>;

interface Variant {
  readonly loading: Promise<LoadedModel>;
  /** There as soon as `loading` has ended. */
  loaded?: LoadedModel;
}

/** A loaded model with its variants. */
export class ModelWithVariants implements LoadedModel {
  readonly inLayout?: LoadedLayout;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly allocate?: (dtype: DType, dims: readonly number[]) => TensorData;
  readonly release?: (tensors: readonly TensorData[]) => void;
  readonly #variants = new Map<string, Variant>();
  readonly #outputSets = new Set<string>();
  /** The variant for sizes that two runs in a row had, and these sizes. */
  #forSizes: (Variant & { readonly sizes: string }) | undefined;
  #preparedFor: PreparedFor | undefined;
  /** The sizes of the run before, as long as there is no variant for sizes. */
  #lastSizes: string | undefined;

  /** @param preparedFor Given if the model runs faster when it is prepared for the sizes of its inputs. */
  constructor(
    readonly loaded: LoadedModel,
    readonly source: VariantSource,
    preparedFor: PreparedFor | undefined,
  ) {
    this.#preparedFor = preparedFor;
    this.inputs = loaded.inputs;
    this.outputs = loaded.outputs;
    if (loaded.inLayout) this.inLayout = loaded.inLayout;
    if (loaded.allocate) this.allocate = loaded.allocate.bind(loaded);
    if (loaded.release) this.release = loaded.release.bind(loaded);
  }

  async run(feeds: AnyTensorRecord, options: BackendRunOptions): Promise<Record<string, AnyTensor>> {
    const given = this.source.optionalInputs.filter((name) => Object.hasOwn(feeds, name));
    const kept = this.#outputSet(options.fetches);
    const isWhole = given.length === 0 && kept === undefined;
    const variant = isWhole ? this.#variantForSizes(feeds) : this.#variant(given, kept);
    if (!variant) return this.loaded.run(feeds, options);
    const { loaded, loading } = variant;
    if (loaded) return this.#fitting(loaded, options).run(feeds, options);
    const copies = copyTensors(feeds);
    return this.#fitting(await loading, options).run(copies, options);
  }

  /** Returns a variant, or the model itself if given outputs contradict the sizes of the variant: its error says what is wrong. */
  #fitting(variant: LoadedModel, { outputs = {} }: BackendRunOptions): LoadedModel {
    const fits = ({ name, shape }: TensorInfo): boolean => {
      const given = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
      return (
        !given || !shape || shape.every((dim, axis) => typeof dim !== 'number' || dim === given.dims[axis])
      );
    };
    return variant.outputs.every(fits) ? variant : this.loaded;
  }

  async dispose(): Promise<void> {
    const variants = [...this.#variants.values(), ...(this.#forSizes ? [this.#forSizes] : [])];
    const loaded = await Promise.allSettled(variants.map(({ loading }) => loading));
    const models = loaded.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    for (const model of new Set([this.loaded, ...models])) await model.dispose();
  }

  /** Returns the variant for the sizes of the feeds; `undefined` if it has other sizes, or is not needed yet. */
  #variantForSizes(feeds: AnyTensorRecord): Variant | undefined {
    const dims = Object.entries(feeds).map(([name, value]) => [name, value.dims] as const);
    const sizes = JSON.stringify(dims.map(([name, [, ...rest]]) => [name, rest]));
    if (this.#preparedFor && sizes === this.#lastSizes) {
      const loading = this.#loadForSizes(this.#preparedFor(new Map(dims)));
      // The source may hold the bytes of the model.
      this.#preparedFor = undefined;
      const variant: Variant & { readonly sizes: string } = { loading, sizes };
      void loading.then((model) => (variant.loaded = model));
      this.#forSizes = variant;
    }
    this.#lastSizes = sizes;
    return this.#forSizes?.sizes === sizes ? this.#forSizes : undefined;
  }

  /** Returns the model itself if the variant cannot be loaded, as where memory is short. */
  async #loadForSizes(preparing: Promise<PreparedModel | undefined>): Promise<LoadedModel> {
    try {
      const prepared = await preparing;
      return prepared ? await this.source.load(prepared) : this.loaded;
    } catch {
      return this.loaded;
    }
  }

  /** Returns the outputs that a variant must have; `undefined` for all. */
  #outputSet(fetches: readonly string[]): readonly string[] | undefined {
    if (!this.source.prunes || fetches.length === this.outputs.length) return undefined;
    const kept = this.outputs.map(({ name }) => name).filter((name) => fetches.includes(name));
    const key = JSON.stringify(kept);
    if (this.#outputSets.size >= MAX_OUTPUT_SETS && !this.#outputSets.has(key)) return undefined;
    this.#outputSets.add(key);
    return kept;
  }

  #variant(given: readonly string[], kept: readonly string[] | undefined): Variant {
    const key = JSON.stringify([given, kept]);
    const known = this.#variants.get(key);
    if (known) return known;
    const loading =
      kept === undefined ? this.#loadWithInputs(given) : this.#loadWithOutputs(given, new Set(kept));
    const variant: Variant = { loading };
    this.#variants.set(key, variant);
    loading.then(
      (model) => (variant.loaded = model),
      () => this.#variants.delete(key),
    );
    return variant;
  }

  async #loadWithInputs(given: readonly string[]): Promise<LoadedModel> {
    const prepared = (await this.source.prepared())!;
    const model = Model.decode(prepared.bytes, 'model', NO_LIMITS);
    return this.source.load(withRequiredInputs(prepared, model, given));
  }

  /** Returns a model with all outputs if no node can go, or if the variant cannot be loaded, as where memory is short. */
  async #loadWithOutputs(given: readonly string[], kept: ReadonlySet<string>): Promise<LoadedModel> {
    try {
      const prepared = await this.source.prepared();
      const model = prepared && Model.decode(prepared.bytes, 'model', NO_LIMITS);
      if (model && keepOutputs(model, kept)) {
        return await this.source.load(withRequiredInputs(prepared, model, given));
      }
    } catch {
      // The model with all outputs gives the same results.
    }
    return given.length === 0 ? this.loaded : this.#variant(given, undefined).loading;
  }
}

function withRequiredInputs(prepared: PreparedModel, model: Model, names: readonly string[]): PreparedModel {
  model.requireInputs(new Set(names));
  model.castInputs(
    names.filter((name) => prepared.bfloat16.has(name)),
    'float32',
  );
  return { ...prepared, bytes: model.encode() };
}
