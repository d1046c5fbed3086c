/**
 * Values for optional inputs on runtimes whose JavaScript interface takes none. A run with such values goes to a variant of
 * the model in which these inputs are required, because it lacks their initializers. Runs without them cost nothing more.
 */
import { Model } from '../../onnx/model.js';
import type { AnyTensor } from '../../tensor.js';
import type { AnyTensorRecord, BackendRunOptions, LoadedModel, ModelToLoad, TensorInfo } from './contract.js';
import type { PreparedModel } from './prepare.js';
import { copyTensors } from './tensors.js';

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

  async run(feeds: AnyTensorRecord, options: BackendRunOptions): Promise<Record<string, AnyTensor>> {
    const given = this.prepared.optionalInputs
      .map(({ name }) => name)
      .filter((name) => Object.hasOwn(feeds, name));
    if (given.length === 0) return this.loaded.run(feeds, options);
    const copies = copyTensors(feeds);
    return (await this.#variantWith(given)).run(copies, options);
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
