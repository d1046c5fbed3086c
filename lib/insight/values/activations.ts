/** Activations: what PyTorch modules returned, in the file that the program of docs/compare.md writes. */
import type { DType, TensorData } from '../../tensor.js';
import type { SafetensorsFile } from '../../weights/safetensors.js';

/** The type of an activation. */
export interface ActivationType {
  readonly dtype: DType;
  readonly dims: readonly number[];
}

/** The activations of one run of a network, and the inputs of that run. */
export interface Activations {
  /** What messages call them: the path of the file. */
  readonly label: string;
  /** The types by name: `input.x` of an input, `layer1.0.bn1` of a module. */
  readonly types: ReadonlyMap<string, ActivationType>;
  /** Reads tensors. */
  readonly read: (names: readonly string[]) => Promise<ReadonlyMap<string, TensorData>>;
}

/** Returns the activations in a file, which stays open. */
export function activationsOf(file: SafetensorsFile): Activations {
  const types = new Map<string, ActivationType>();
  for (const name of file.keys()) {
    const { dtype, dims } = file.info(name);
    // Complex numbers and floats of 4 or 6 bits: no value of a model has such a dtype.
    if (dtype !== undefined) types.set(name, { dtype, dims });
  }
  return { label: file.path, types, read: (names) => file.readAll(names) };
}

/** Returns activations that are in memory. */
export const knownActivations = (label: string, tensors: ReadonlyMap<string, TensorData>): Activations => ({
  label,
  types: tensors,
  read: (names) => Promise.resolve(new Map(names.map((name) => [name, tensors.get(name)!]))),
});
