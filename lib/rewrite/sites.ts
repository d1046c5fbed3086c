/** Normalization nodes of a model as the sites that lowerings take. */
import type { SiteRef, ValueRef } from '../lowering/index.js';
import type { Model, ModelNode } from '../onnx/index.js';
import { formatShape, isFloatDType, type TensorData } from '../tensor.js';

/** The site that a node is, or the reason why it cannot be lowered. */
export function describeSite(model: Model, node: ModelNode, x: ValueRef | undefined): SiteRef | string {
  const scale = parameterType(model, node, node.inputs[1], x);
  const bias = parameterType(model, node, node.inputs[2], x);
  if (!x || !scale || !bias) return 'the model does not declare the types of its inputs';
  if (!isFloatDType(x.dtype) || scale.dtype !== x.dtype || bias.dtype !== x.dtype) {
    return `its inputs are ${x.dtype}, ${scale.dtype} and ${bias.dtype}; they must be of one float dtype`;
  }
  const channels = typeof x.shape[1] === 'number' ? x.shape[1] : undefined;
  if (x.shape.length < 2 || channels === undefined)
    return `the channels of its input ${formatShape(x.shape)} are not known`;
  const numGroups = node.opType === 'InstanceNormalization' ? channels : (node.number('num_groups') ?? 0);
  if (numGroups < 1 || channels % numGroups !== 0)
    return `${channels} channels are not divisible by ${numGroups} groups`;
  const common = {
    name: node.name,
    x,
    numGroups,
    epsilon: node.number('epsilon') ?? 1e-5,
    output: node.outputs[0]!,
  };
  if (lengthOf(scale) === channels && lengthOf(bias) === channels) {
    return { ...common, scale: unless(model, scale, 1), bias: unless(model, bias, 0) };
  }
  return perGroupSite(model, common, scale, bias, numGroups) ?? describeMismatch(scale, bias, channels);
}

/** InstanceNormalization's parameters can be of one type only, which models often do not declare. */
function parameterType(
  model: Model,
  { opType }: ModelNode,
  name: string | undefined,
  x: ValueRef | undefined,
): ValueRef | undefined {
  const declared = typeOf(model, name);
  if (declared || !name || !x || opType !== 'InstanceNormalization') return declared;
  return { name, dtype: x.dtype, shape: x.shape.slice(1, 2) };
}

/** The operator of opset 18 to 20: its scale and bias are one a group, and ours are ones and zeros. */
function perGroupSite(
  model: Model,
  site: SiteRef,
  scale: ValueRef,
  bias: ValueRef,
  numGroups: number,
): SiteRef | undefined {
  if (lengthOf(scale) !== numGroups || lengthOf(bias) !== numGroups) return undefined;
  return unless(model, scale, 1) || unless(model, bias, 0) ? undefined : site;
}

const describeMismatch = (scale: ValueRef, bias: ValueRef, channels: number): string =>
  `scale ${formatShape(scale.shape)} and bias ${formatShape(bias.shape)} must be [${channels}], one element a channel`;

const lengthOf = ({ shape }: ValueRef) => (shape.length === 1 ? shape[0] : undefined);

/** `value`, or nothing if it is a constant all of whose elements are `neutral`. */
export function unless(model: Model, value: ValueRef, neutral: 0 | 1): ValueRef | undefined {
  const data = model.constant(value.name);
  return data && isFilledWith(data, neutral) ? undefined : value;
}

export function isFilledWith({ dtype, data }: TensorData, value: 0 | 1): boolean {
  const one = dtype === 'float16' ? 0x3c00 : dtype === 'bfloat16' ? 0x3f80 : 1;
  return (data as ArrayLike<number>).length > 0 && Array.prototype.every.call(data, (x) => x === value * one);
}

/** A value by its name, if the model declares its type. */
export function typeOf(model: Model, name: string | undefined): ValueRef | undefined {
  const type = name ? model.typeOf(name) : undefined;
  return type && { name: name!, ...type };
}
