import type { SiteRef, ValueRef } from '../lowering/index.js';
import { lowerSite } from '../lowering/index.js';
import type { Model, ModelNode } from '../onnx/index.js';
import { formatShape, isFloatDType, type TensorData } from '../tensor.js';

/** What a pass did, and for each node that it left alone, why. */
export interface PassReport {
  readonly replaced: number;
  readonly refusals: readonly string[];
}

/** Which normalizations to replace: those for which the runtime has no kernel that is fit to use. */
export type SiteFilter = (node: ModelNode, dtype: string) => boolean;

/** The standard operator, which ONNX Runtime inlines as a slow and inaccurate body. */
export const isGroupNorm: SiteFilter = (node) => node.domain === '' && node.opType === 'GroupNormalization';

/** float64 InstanceNormalization, for which ONNX Runtime has no CPU kernel. It is GroupNorm with a group a channel. */
export const isFloat64InstanceNorm: SiteFilter = (node, dtype) =>
  node.domain === '' && node.opType === 'InstanceNormalization' && dtype === 'float64';

/**
 * Replaces normalizations in a model by a lowering at the model's own opset.
 * @throws GraphError `LOWERING_UNAVAILABLE` or `UNSUPPORTED_OPSET` if there is something to replace and it cannot be.
 */
export function lowerNormalizations(model: Model, lowering: string, matches: SiteFilter): PassReport {
  const refusals: string[] = [];
  const taken = model.names();
  const replaced = model.replaceNodes((node) => {
    const x = typeOf(model, node.inputs[0]);
    if (!matches(node, x?.dtype ?? '')) return undefined;
    const site = describeSite(model, node, x);
    if (typeof site === 'string') {
      refusals.push(`${node.opType} '${node.name}': ${site}`);
      return undefined;
    }
    return lowerSite(site, lowering, model.opset, taken);
  });
  return { replaced, refusals };
}

/** The site that a node is, or the reason why it cannot be lowered. */
function describeSite(model: Model, node: ModelNode, x: ValueRef | undefined): SiteRef | string {
  const scale = typeOf(model, node.inputs[1]);
  const bias = typeOf(model, node.inputs[2]);
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
function unless(model: Model, value: ValueRef, neutral: 0 | 1): ValueRef | undefined {
  const data = model.constant(value.name);
  return data && isFilledWith(data, neutral) ? undefined : value;
}

function isFilledWith({ dtype, data }: TensorData, value: 0 | 1): boolean {
  const one = dtype === 'float16' ? 0x3c00 : dtype === 'bfloat16' ? 0x3f80 : 1;
  return (data as ArrayLike<number>).length > 0 && Array.prototype.every.call(data, (x) => x === value * one);
}

function typeOf(model: Model, name: string | undefined): ValueRef | undefined {
  const type = name ? model.typeOf(name) : undefined;
  return type && { name: name!, ...type };
}
