/**
 * Variants of a model, each loaded when a run first needs it: without the nodes of outputs that a run does not ask for,
 * which ONNX Runtime would run all the same; and without the initializers of optional inputs that a run gives, on runtimes
 * whose JavaScript interface takes no values for these.
 */
import { NO_LIMITS } from '../../limits.js';
import { Model } from '../../onnx/model.js';
import { keepOutputs } from '../../rewrite/analysis/dead-code.js';
import type { AnyTensor, DType, TensorData } from '../../tensor.js';
import type {
  AnyTensorRecord,
  BackendRunOptions,
  LoadedLayout,
  LoadedModel,
  ModelToLoad,
  TensorInfo,
} from '../core/contract.js';
import type { PreparedModel } from './prepare.js';
import { copyTensors } from '../core/tensors.js';

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

  constructor(
    readonly loaded: LoadedModel,
    readonly source: VariantSource,
  ) {
    this.inputs = loaded.inputs;
    this.outputs = loaded.outputs;
    if (loaded.inLayout) this.inLayout = loaded.inLayout;
    if (loaded.allocate) this.allocate = loaded.allocate.bind(loaded);
    if (loaded.release) this.release = loaded.release.bind(loaded);
  }

  async run(feeds: AnyTensorRecord, options: BackendRunOptions): Promise<Record<string, AnyTensor>> {
    const given = this.source.optionalInputs.filter((name) => Object.hasOwn(feeds, name));
    const kept = this.#outputSet(options.fetches);
    if (given.length === 0 && kept === undefined) return this.loaded.run(feeds, options);
    const { loaded, loading } = this.#variant(given, kept);
    if (loaded) return loaded.run(feeds, options);
    const copies = copyTensors(feeds);
    return (await loading).run(copies, options);
  }

  async dispose(): Promise<void> {
    const loaded = await Promise.allSettled([...this.#variants.values()].map(({ loading }) => loading));
    const models = loaded.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    for (const model of new Set([this.loaded, ...models])) await model.dispose();
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
