/** BatchNormalization nodes as sites of GroupNorm; `batch-norm.ts` lists the conditions. */
import { halvedToDivide } from '../../graph/batch-norm-groups.js';
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import type { SiteRef } from '../../lowering/lower.js';
import { MAX_FILLED } from '../../lowering/rows.js';
import type { LoweringName } from '../../lowering/types.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import type { ValueType } from '../../shapes/operators.js';
import { type FloatDType, formatShape, isFloatDType, type Shape } from '../../tensor.js';
import { isOp, outputOf } from '../analysis/patterns.js';
import { ANY_SHAPE, lengthOf, numberIn, undeclared } from '../norms/sites.js';
import type { ValueTypes } from '../analysis/value-types.js';
import { unmoved } from '../norms/written-norm.js';

export const isBatchNorm = (node: ModelNode): boolean => isOp(node, 'BatchNormalization');

/** How sites are described. */
export interface SiteOptions {
  /** The number of groups, before it is halved. */
  readonly numGroups: number;
  /** Whether scale and bias stay, so that they need not be weights. */
  readonly keepAffine: boolean;
  readonly lowering: LoweringName;
}

/** Returns the site that a BatchNormalization becomes, or the reason why it cannot be replaced. */
export function describeBatchNorm(
  types: ValueTypes,
  node: ModelNode,
  { numGroups, keepAffine, lowering }: SiteOptions,
): SiteRef | string {
  const [x, scale, bias] = node.inputs as [string, string, string];
  const problem = whyNotNormalizing(types.model, node);
  if (problem !== undefined) return problem;
  const dtypes = dtypesOf(types, [x, scale, bias]);
  if (typeof dtypes === 'string') return dtypes;
  // The operator takes any rank; other lowerings are written for one.
  const shape = types.typeOf(x).shape ?? (lowering === 'op' ? ANY_SHAPE : undefined);
  const parameters = [types.typeOf(scale), types.typeOf(bias)];
  const channels = shape ? channelsOf(shape, parameters) : undeclared("the rank of the node's input");
  if (typeof channels === 'string') return channels;
  const computed = keepAffine ? undefined : [scale, bias].find((name) => !isWeight(types, name));
  if (computed !== undefined)
    return `'${computed}' is not a weight, so that it cannot become 1 or 0; keep it (keepAffine)`;
  return {
    name: node.name,
    x: { name: x, dtype: dtypes[0], shape: [shape![0]!, channels, ...shape!.slice(2)] },
    scale: { name: scale, dtype: dtypes[1], shape: [channels] },
    bias: { name: bias, dtype: dtypes[2], shape: [channels] },
    numGroups: halvedToDivide(numGroups, channels),
    epsilon: node.number('epsilon') ?? DEFAULT_EPSILON,
    output: outputOf(node),
  };
}

/** Says what a node computes besides a normalization of each channel. */
function whyNotNormalizing({ index, opset }: Model, node: ModelNode): string | undefined {
  if (opset < 9 && node.number('spatial') === 0)
    return 'spatial = 0 gives each element a scale of its own, which GroupNormalization cannot do';
  const read = node.outputs.slice(1).find((name) => name && index.isRead(name));
  return read === undefined
    ? undefined
    : `its statistics '${read}' are read, and GroupNormalization has none`;
}

/** Returns the dtypes of input, scale and bias. From opset 15 on, they may differ. */
function dtypesOf(
  types: ValueTypes,
  names: readonly [string, string, string],
): [FloatDType, FloatDType, FloatDType] | string {
  const [own, scale, bias] = names.map((name) => types.typeOf(name).dtype);
  const dtypes = [own ?? (types.model.opset < 15 ? scale : undefined), scale, bias];
  if (dtypes.includes(undefined)) return undeclared("the dtypes of the node's inputs");
  const floats = dtypes.filter((dtype) => dtype !== undefined && isFloatDType(dtype));
  if (floats.length < dtypes.length) return `its inputs are ${dtypes.join(', ')}, and must be floats`;
  return floats as [FloatDType, FloatDType, FloatDType];
}

/** Returns the number of channels, which the shape of the input or the length of scale or bias tells. */
function channelsOf(shape: Shape, parameters: readonly ValueType[]): number | string {
  if (shape.length < 2) return `its input ${formatShape(shape)} does not have channels`;
  const lengths = [numberIn(shape[1]), ...parameters.map(lengthOf)].filter((length) => length !== undefined);
  const [channels] = lengths;
  if (channels === undefined) return undeclared(`the channels of the node's input ${formatShape(shape)}`);
  if (lengths.some((length) => length !== channels))
    return `scale and bias must have one element for each channel of its input ${formatShape(shape)}`;
  return channels >= 1 && channels <= MAX_FILLED
    ? channels
    : `it has ${channels} channels, and may have 1 to ${MAX_FILLED}`;
}

/**
 * Returns whether a value has the elements of an initializer or a constant. Exporters write Identity where they merge equal
 * weights, and Expand for the ones and zeros of a BatchNorm without weights.
 */
function isWeight(types: ValueTypes, name: string): boolean {
  const source = unmoved(types, name);
  return types.constant(source) !== undefined || types.model.index.hasInitializer(source);
}
