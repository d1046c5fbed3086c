/** Tensors whose memory can be given back before the garbage collector finds it. */
import { endsBy } from '../../disposal.js';
import type { TensorData } from '../../tensor.js';
import type { AllocatedTensor, AnyTensorRecord, RunResults } from './contract.js';

/** Gives back the memory of tensors that a runtime has made. */
export type Release = (tensors: readonly TensorData[]) => void;

/** The outputs of a run are its own properties, and so all that `Object.entries` and a spread see. */
class Results {
  #release: (() => void) | undefined;

  constructor(tensors: AnyTensorRecord, release: () => void) {
    this.#release = release;
    for (const [name, value] of Object.entries(tensors)) {
      // An output may be named `dispose`, or `__proto__`.
      if (name in this) {
        Object.defineProperty(this, name, { value, enumerable: true, writable: true, configurable: true });
      } else {
        (this as Record<string, unknown>)[name] = value;
      }
    }
  }

  dispose(): void {
    this.#release?.();
    this.#release = undefined;
  }

  static {
    endsBy(this.prototype, Symbol.dispose, 'dispose');
  }
}

/** @param own The tensors that the run has made; the others are the caller's. */
export function disposableResults(
  tensors: AnyTensorRecord,
  own: readonly TensorData[],
  release: Release,
): RunResults<AnyTensorRecord> {
  return new Results(tensors, () => release(own)) as object as RunResults<AnyTensorRecord>;
}

class OwnedTensor {
  #release: (() => void) | undefined;
  readonly dtype: TensorData['dtype'];
  readonly dims: TensorData['dims'];
  readonly data: TensorData['data'];

  constructor({ dtype, dims, data }: TensorData, release: () => void) {
    this.dtype = dtype;
    this.dims = dims;
    this.data = data;
    this.#release = release;
  }

  dispose(): void {
    this.#release?.();
    this.#release = undefined;
  }

  static {
    endsBy(this.prototype, Symbol.dispose, 'dispose');
  }
}

export const disposableTensor = (value: TensorData, release: Release): AllocatedTensor =>
  new OwnedTensor(value, () => release([value])) as object as AllocatedTensor;
