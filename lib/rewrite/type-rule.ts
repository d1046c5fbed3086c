/** What is known of values, and rules that tell more. */
import type { ModelNode } from '../onnx/index.js';
import type { DType, Shape } from '../tensor.js';

/** What is known of a value; of each part there may be nothing. */
export interface ValueType {
  readonly dtype: DType | undefined;
  /** `?` (UNKNOWN_DIM) stands for a dimension of which nothing is known. */
  readonly shape: Shape | undefined;
}

/** What is known of the values that nodes read. */
export interface KnownValues {
  typeOf(name: string | undefined): ValueType;
  /** The elements of a vector of sizes, as far as they are known; nothing if not even their number is. */
  sizes(name: string | undefined): Shape | undefined;
}

/** What a node gives, of which nothing need be known. */
export type Rule = (node: ModelNode, types: KnownValues) => ValueType | undefined;

export const input = (node: ModelNode, types: KnownValues, index: number): ValueType =>
  types.typeOf(node.inputs[index]);

/** The first input's dtype, and a shape that its own shape is all that is needed for. */
export const shaped =
  (shapeOf: (shape: Shape, node: ModelNode, types: KnownValues) => Shape | undefined): Rule =>
  (node, types) => {
    const { dtype, shape } = input(node, types, 0);
    return { dtype, shape: shape && shapeOf(shape, node, types) };
  };
