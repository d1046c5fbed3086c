/** Normalization nodes of existing models as sites, which lowerings take. */
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import {
  type Fragment,
  type LoweringChoice,
  lowerSite,
  type SiteRef,
  type ValueRef,
} from '../../lowering/lower.js';
import { PER_CHANNEL_OPSET } from '../../lowering/op.js';
import { LocalFunction } from '../../onnx/graph/inner-graph.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import type { ValueType } from '../../shapes/operators.js';
import { formatShape, isFloatDType, type Shape, type TensorData, UNKNOWN_DIM } from '../../tensor.js';
import { changedNode } from '../analysis/opset-changes.js';
import type { ValueTypes } from '../analysis/value-types.js';

/** A lowering for all sites, or a function that chooses one for each. */
export type SiteLowering = LoweringChoice | ((site: SiteRef) => LoweringChoice);

/**
 * Lowers a site with the lowering that is chosen for it.
 * @throws GraphError as `lowerSite`.
 */
export const lowerWith = (
  lowering: SiteLowering,
  site: SiteRef,
  { opset }: Model,
  takenNames: Set<string>,
): Fragment => lowerSite(site, typeof lowering === 'function' ? lowering(site) : lowering, opset, takenNames);

/** Stands for a shape whose rank is not known. */
export const ANY_SHAPE: Shape = [UNKNOWN_DIM, UNKNOWN_DIM, UNKNOWN_DIM];

/**
 * Returns the site that an InstanceNormalization or GroupNormalization is, or the reason why it cannot be lowered.
 * If the model does not declare its input, scale and bias tell the dtype and the number of channels.
 * @param takesAnyRank Whether the lowering takes inputs of unknown rank, as the kernel does.
 */
export function describeSite(types: ValueTypes, node: ModelNode, takesAnyRank: boolean): SiteRef | string {
  const otherOpset = whyOtherOpset(types);
  if (otherOpset !== undefined) return otherOpset;
  const [input, scale, bias] = [0, 1, 2].map((index) => types.typeOf(node.inputs[index]));
  const x = { dtype: input!.dtype, shape: input!.shape ?? (takesAnyRank ? ANY_SHAPE : undefined) };
  const dtypes = [x, scale!, bias!].flatMap(({ dtype }) => dtype ?? []);
  const [dtype] = dtypes;
  if (!dtype) return undeclared("the dtypes of the node's inputs");
  if (!x.shape) return undeclared("the rank of the node's input");
  if (!isFloatDType(dtype) || dtypes.some((other) => other !== dtype))
    return `its inputs are ${dtypes.join(', ')}; they must be of one float dtype`;
  const isOfChannels = node.opType === 'InstanceNormalization';
  const isPerGroup = !isOfChannels && types.model.opset < PER_CHANNEL_OPSET;
  const lengths = [scale!, bias!].map(lengthOf);
  const channels = numberIn(x.shape[1]) ?? (isPerGroup ? undefined : (lengths[0] ?? lengths[1]));
  if (x.shape.length < 2 || channels === undefined)
    return undeclared(`the channels of the node's input ${formatShape(x.shape)}`);
  const numGroups = isOfChannels ? channels : (node.number('num_groups') ?? 0);
  if (numGroups < 1 || channels % numGroups !== 0)
    return `${channels} channels are not divisible by ${numGroups} groups`;
  const expected = isPerGroup ? numGroups : channels;
  const fits = (length: number | undefined) => [undefined, expected, channels].includes(length);
  if (!lengths.every(fits)) return describeMismatch(scale!, bias!, expected, isPerGroup);
  const parameter = (index: number): ValueRef => ({
    name: node.inputs[index]!,
    dtype,
    shape: [lengths[index - 1] ?? expected],
  });
  const shape = [x.shape[0]!, channels, ...x.shape.slice(2)];
  return {
    name: node.name,
    x: { name: node.inputs[0]!, dtype, shape },
    scale: omitNeutral(types, parameter(1), 1),
    bias: omitNeutral(types, parameter(2), 0),
    numGroups,
    epsilon: node.number('epsilon') ?? DEFAULT_EPSILON,
    output: node.outputs[0]!,
  };
}

/**
 * Says why nodes of a function cannot be taken for nodes of the model's opset: the function imports another opset, between which
 * a node of the function changes. ONNX Runtime (1.32) reads all functions by the opset of the model, and ONNX by their own.
 */
function whyOtherOpset(types: ValueTypes): string | undefined {
  let around = types;
  while (around.inside && !(around.inside.graph instanceof LocalFunction)) around = around.inside.outer;
  const callee = around.inside?.graph as LocalFunction | undefined;
  const { opset } = types.model;
  if (callee?.opset === undefined || callee.opset === opset) return undefined;
  const node = changedNode(callee, callee.opset, opset);
  return (
    node &&
    `the ${callee.place.text} imports opset ${callee.opset} and the model opset ${opset}, between which ${node.opType} ` +
      'changes; bring both to one opset, or inline the function first (onnx.inliner.inline_local_functions)'
  );
}

/** Says that a type is missing, and how to add it. */
export const undeclared = (what: string): string =>
  `the model does not declare ${what}; run onnx.shape_inference.infer_shapes, which adds the types and shapes that it ` +
  'can infer to the model';

const describeMismatch = (scale: ValueType, bias: ValueType, length: number, isPerGroup: boolean): string =>
  `scale ${describeShape(scale.shape)} and bias ${describeShape(bias.shape)} must be [${length}], ` +
  `one element a ${isPerGroup ? 'group' : 'channel'}`;

const describeShape = (shape: Shape | undefined): string => (shape ? formatShape(shape) : UNKNOWN_DIM);

export const numberIn = (dim: Shape[number] | undefined) => (typeof dim === 'number' ? dim : undefined);

/** Returns a vector's length, `undefined` if it is unknown, and `NaN` for a non-vector, so that it never matches. */
export const lengthOf = ({ shape }: ValueType): number | undefined =>
  shape && (shape.length === 1 ? numberIn(shape[0]) : NaN);

/** Returns `value`, or `undefined` if it is a constant all of whose elements are `neutral`. */
export function omitNeutral(types: ValueTypes, value: ValueRef, neutral: 0 | 1): ValueRef | undefined {
  return isConstant(types, value.name, neutral) ? undefined : value;
}

/** Returns whether a value is a constant all of whose elements are `element`. */
export function isConstant(types: ValueTypes, name: string | undefined, element: 0 | 1): boolean {
  const data = types.constant(name);
  return data !== undefined && isFilledWith(data, element);
}

/** Returns whether a tensor has elements, and all of them are `value`. */
export function isFilledWith(tensor: TensorData, value: 0 | 1): boolean {
  const { dtype } = tensor;
  const one = dtype === 'float16' ? 0x3c00 : dtype === 'bfloat16' ? 0x3f80 : 1;
  return commonElement(tensor) === value * one;
}

/** What all elements of a tensor are. Many nodes may read one constant, so each constant is searched once. */
const COMMON = new WeakMap<TensorData, number | bigint | undefined>();

/** Returns what all elements of a tensor are; `undefined` if they differ, or if there are no elements. */
function commonElement(tensor: TensorData): number | bigint | undefined {
  if (COMMON.has(tensor)) return COMMON.get(tensor);
  const data = tensor.data as ArrayLike<number | bigint>;
  const [first] = tensor.data;
  let index = 1;
  while (index < data.length && data[index] === first) index++;
  const common = index >= data.length ? first : undefined;
  COMMON.set(tensor, common);
  return common;
}
