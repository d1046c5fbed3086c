/**
 * Normalizations that are left to ONNX Runtime and fail there if their input has no elements.
 *
 *     InstanceNormalization: rows of length 0 end the process on the CPU
 *     GroupNormalization, unless the kernel runs it: its definition cannot reshape an empty input
 *
 * match unless the input is known to have elements. Each becomes the body of an If that an empty input passes by.
 */
import { float, int } from '../graph/attr.js';
import type { Attributes, Node } from '../graph/types.js';
import { opLowering } from '../lowering/op.js';
import { mayBeEmpty, skipEmpty } from '../lowering/skip-empty.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/graph/node.js';
import { isGroupNorm } from './norms/group-normalization.js';
import { isOp, outputOf, reference } from './analysis/patterns.js';
import type { Shape } from '../tensor.js';
import type { ValueTypes } from './analysis/value-types.js';

/**
 * Replaces every match.
 * @param own The nodes to look at: those that the model had before lowerings, which add safe ones.
 * @returns How many there are: 0 if the model is not modified.
 */
export function skipEmptyInputs(
  model: Model,
  types: ValueTypes,
  hasGroupNormKernel: boolean,
  own: ReadonlySet<ModelNode>,
): number {
  const leavesGroupNorm = !hasGroupNormKernel && model.opset >= opLowering.minOpset;
  const fails = (node: ModelNode) =>
    own.has(node) && (isOp(node, 'InstanceNormalization') || (leavesGroupNorm && isGroupNorm(node)));
  if (!model.nodes.some(fails)) return 0;
  const taken = model.names();
  return model.replaceNodes((node) => {
    const [x] = node.inputs;
    if (!fails(node) || !x || !mayBeEmpty(failingSizes(node, types.typeOf(x).shape))) return undefined;
    return skipEmpty({ nodes: [sameNode(node)], constants: [] }, x, outputOf(node), taken);
  });
}

/** Returns the sizes of which a 0 makes the node fail: without samples or channels, there are no rows of length 0. */
const failingSizes = (node: ModelNode, shape: Shape | undefined): Shape | undefined =>
  isOp(node, 'InstanceNormalization') ? shape?.slice(2) : shape;

/** Returns a node as one that can be encoded. */
const sameNode = (node: ModelNode): Node => ({
  name: node.name,
  opType: node.opType,
  inputs: node.inputs.map(reference),
  outputs: node.outputs.map(reference),
  attributes: attributesOf(node),
});

function attributesOf(node: ModelNode): Attributes {
  const [epsilon, numGroups, stashType] = ['epsilon', 'num_groups', 'stash_type'].map((name) =>
    node.number(name),
  );
  return {
    ...(epsilon !== undefined && { epsilon: float(epsilon) }),
    ...(numGroups !== undefined && { num_groups: int(numGroups) }),
    ...(stashType !== undefined && { stash_type: int(stashType) }),
  };
}
