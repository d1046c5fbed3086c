/**
 * Values for optional inputs on runtimes whose JavaScript interface takes none. A run with such values goes to a variant of
 * the model in which these inputs are required, because it lacks their initializers. Runs without them cost nothing more.
 */
import { Model } from '../../onnx/model.js';
import type { TensorData } from '../../tensor.js';
import type { LoadedModel, ModelToLoad, RunOptions, TensorInfo, TensorRecord } from './contract.js';
import type { PreparedModel } from './prepare.js';

/** A loaded model, and its variants by the inputs that are required: each is loaded when a run first needs it. */
export class ModelWithVariants implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #variants = new Map<string, Promise<LoadedModel>>();

  constructor(
    readonly loaded: LoadedModel,
    readonly prepared: PreparedModel,
    readonly load: (model: ModelToLoad) => Promise<LoadedModel>,
  ) {
    this.inputs = loaded.inputs;
    this.outputs = loaded.outputs;
  }

  async run(feeds: TensorRecord, options: RunOptions): Promise<Record<string, TensorData>> {
    const given = this.prepared.optionalInputs
      .map(({ name }) => name)
      .filter((name) => Object.hasOwn(feeds, name));
    const model = given.length === 0 ? this.loaded : await this.#variantWith(given);
    return model.run(feeds, options);
  }

  async dispose(): Promise<void> {
    for (const variant of this.#variants.values()) await (await variant).dispose();
    await this.loaded.dispose();
  }

  #variantWith(names: readonly string[]): Promise<LoadedModel> {
    const key = JSON.stringify(names);
    const known = this.#variants.get(key);
    if (known) return known;
    const variant = this.load({ ...this.prepared, bytes: withRequiredInputs(this.prepared, names) });
    this.#variants.set(key, variant);
    variant.catch(() => this.#variants.delete(key));
    return variant;
  }
}

function withRequiredInputs({ bytes, bfloat16 }: PreparedModel, names: readonly string[]): Uint8Array {
  const model = Model.decode(bytes);
  model.requireInputs(new Set(names));
  model.castInputs(
    names.filter((name) => bfloat16.has(name)),
    'float32',
  );
  return model.encode();
}
