/**
 * Fragments that run only if their input has elements. ONNX Runtime 1.30 reads outside a tensor in the rows of length 0
 * of an InstanceNormalization, which ends the process on the CPU, and cannot reshape an empty input in its definition of
 * GroupNormalization.
 *
 *     Size → Cast to bool → If: the nodes of the fragment, else Identity
 *
 * These operators exist at every opset. The If copies no data.
 */
import { type Node, Value } from '../graph/types.js';
import type { Shape } from '../tensor.js';
import type { Fragment } from './lower.js';

/** The condition under which the nodes of a fragment run, and the names of the values that it needs. */
export interface SkipEmpty {
  /** The value whose elements are counted. It is the result if it is empty. */
  readonly input: string;
  /** What the input is reshaped by to have the result's shape; `undefined` if it has that shape. */
  readonly reshape: ReshapeBy | undefined;
  /** The result, under the name that other nodes read. */
  readonly output: string;
  readonly size: string;
  readonly hasElements: string;
  /** The result of the fragment's own nodes. */
  readonly computed: string;
  /** The result of Identity, or of Reshape. */
  readonly empty: string;
}

/** The target of a Reshape. */
export interface ReshapeBy {
  readonly target: { readonly name: string };
  readonly allowZero: boolean;
}

/** Returns whether a tensor of this shape may have no elements. */
export const mayBeEmpty = (shape: Shape | undefined): boolean =>
  shape === undefined || shape.some((dim) => typeof dim !== 'number' || dim === 0);

/**
 * Returns a fragment that runs only if `input` has elements, and else returns `input`.
 * @param output The name of the fragment's result, which has the dtype and shape of `input`.
 * @param takenNames Every name of the surrounding graph; the new names are added.
 * @param reshape Gives an empty input the result's shape, if that is another.
 */
export function skipEmpty(
  { nodes, constants }: Fragment,
  input: string,
  output: string,
  takenNames: Set<string>,
  reshape?: ReshapeBy,
): Fragment {
  const fresh = (what: string): string => {
    let name = `${output}/${what}`;
    while (takenNames.has(name)) name += '_';
    takenNames.add(name);
    return name;
  };
  const computed = fresh('computed');
  const names = { computed, empty: fresh('empty'), size: fresh('size'), hasElements: fresh('has_elements') };
  const renamed = nodes.map((node) => ({ ...node, outputs: renameIn(node, output, computed) }));
  return { nodes: renamed, constants, skipEmpty: { input, output, reshape, ...names } };
}

const renameIn = ({ outputs }: Node, from: string, to: string): Value[] =>
  outputs.map((value) =>
    value.name === from ? new Value(value.owner, value.kind, to, value.dtype, value.shape) : value,
  );
