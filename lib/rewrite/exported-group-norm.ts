/**
 * GroupNorm as PyTorch exports it below opset 21.
 *
 *     x (N, C, …) → Reshape to (0, G, −1) → InstanceNormalization → Reshape to x's shape → Mul → Add → y
 *
 * matches if
 *
 * - x has a known rank, a known number of channels that G divides, and one float dtype;
 * - InstanceNormalization's scale and bias are constant ones and zeros;
 * - the second Reshape gives x's shape for all sizes: its target is Shape(x), or has x's own sizes;
 * - Mul and Add (both optional) take one number per channel: (C, 1, …), or a constant 1 or 0;
 * - no other node, and no caller of the model, reads a value in between;
 * - the model has no bodies and no local functions, which could read such a value.
 *
 * It becomes one GroupNormalization of x, as the lowering writes it, with Mul's and Add's operands as scale and bias.
 */
import { DEFAULT_EPSILON } from '../graph/ops/normalization.js';
import type { SiteRef, ValueRef } from '../lowering/lower.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { keepsShape } from '../shapes/operators.js';
import { isFloatDType, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { type Chain, hasHiddenReaders, isOp, onlyReader, outputOf, replaceChains } from './patterns.js';
import { hasLowerings, isFilledWith, lowerWith, type SiteLowering } from './sites.js';
import { ValueTypes } from './value-types.js';

/** A match, and the GroupNorm that it is. */
interface Exported extends Chain {
  readonly site: SiteRef;
}

/**
 * Replaces every match.
 * @returns How many there are: 0 if the model is not modified.
 */
export function mergeExportedGroupNorm(
  model: Model,
  lowering: SiteLowering,
  types = new ValueTypes(model),
): number {
  if (!hasLowerings(model) || hasHiddenReaders(model)) return 0;
  const found = model.nodes.flatMap((node) => matchExported(types, node) ?? []);
  if (found.length === 0) return 0;
  const taken = model.names();
  return replaceChains(model, found, ({ site }) => lowerWith(lowering, site, model, taken));
}

function matchExported(types: ValueTypes, norm: ModelNode): Exported | undefined {
  if (!isOp(norm, 'InstanceNormalization')) return undefined;
  const { model } = types;
  const [split, join] = [model.index.producer(norm.inputs[0]!), onlyReader(model, norm, 'Reshape')];
  if (!split || !join || join.inputs[0] !== outputOf(norm)) return undefined;
  const x = normalizedValue(types, split, norm);
  const numGroups = groupsOf(types, split);
  if (!x || !numGroups || (x.shape[1] as number) % numGroups !== 0) return undefined;
  if (!isConstant(types, norm.inputs[1], 1) || !isConstant(types, norm.inputs[2], 0)) return undefined;
  if (!givesShapeOf(types, join, x)) return undefined;
  const mul = matchAffineStep(types, join, 'Mul', x);
  const add = matchAffineStep(types, mul?.node ?? join, 'Add', x);
  const chain = [norm, join, mul?.node, add?.node].filter((node) => node !== undefined);
  const last = chain.at(-1)!;
  return {
    site: {
      name: norm.name,
      x,
      scale: mul?.parameter,
      bias: add?.parameter,
      numGroups,
      epsilon: norm.number('epsilon') ?? DEFAULT_EPSILON,
      output: outputOf(last),
    },
    last,
    inner: [...chain.slice(0, -1), ...unsharedSources(model, split, join)],
  };
}

/** Returns the first Reshape, and the Shape that the second one reads, if no other node reads them. */
function unsharedSources({ index }: Model, split: ModelNode, join: ModelNode): ModelNode[] {
  const shape = index.producer(join.inputs[1]!);
  const sources = [split, ...(shape && isOp(shape, 'Shape') ? [shape] : [])];
  return sources.filter((node) => index.onlyReaders(outputOf(node)).length === 1);
}

/** Returns x, if its rank and channels are known and its dtype is one float dtype, also that of the scale. */
function normalizedValue(types: ValueTypes, split: ModelNode, norm: ModelNode): ValueRef | undefined {
  const name = split.inputs[0]!;
  const { dtype: own, shape } = types.typeOf(name);
  const { dtype = own } = types.typeOf(norm.inputs[1]);
  if (!dtype || !isFloatDType(dtype) || (own !== undefined && own !== dtype)) return undefined;
  return shape && typeof shape[1] === 'number' && shape[1] > 0 ? { name, dtype, shape } : undefined;
}

/** Returns G, if the node reshapes (N, C, …) to (N, G, K). */
function groupsOf(types: ValueTypes, split: ModelNode): number | undefined {
  if (!isOp(split, 'Reshape') || split.number('allowzero') === 1) return undefined;
  const target = types.constant(split.inputs[1]) && types.sizes(split.inputs[1]);
  const isRows = target?.length === 3 && target[0] === 0 && target[2] === -1;
  return isRows && (target[1] as number) > 0 ? (target[1] as number) : undefined;
}

/** Returns whether a node reshapes (N, G, K) to x's shape: each size is x's own, and one may be −1. */
function givesShapeOf(types: ValueTypes, join: ModelNode, x: ValueRef): boolean {
  const target = join.inputs[1];
  const source = types.shapeIsOf(target);
  // Another value may have other sizes under the same names.
  if (source !== undefined && !isStatic(x.shape))
    return shapeSource(types, source) === shapeSource(types, x.name);
  const sizes = types.sizes(target);
  if (sizes?.length !== x.shape.length) return false;
  const copiesBatch = sizes[0] === 0 && join.number('allowzero') !== 1;
  const others = sizes.filter(
    (size, axis) =>
      !(axis === 0 && copiesBatch) && (size !== x.shape[axis] || size === UNKNOWN_DIM || size === 0),
  );
  return others.length === 0 || (others.length === 1 && others[0] === -1);
}

/** Networks have shorter chains. Without a limit, a damaged model whose nodes form a cycle would never end. */
const MAX_CHAIN = 100;

/** Returns the first value in the chain of elementwise operators that ends in `name`: all of them have its shape. */
function shapeSource({ model }: ValueTypes, name: string): string {
  let source = name;
  for (let step = 0; step < MAX_CHAIN; step++) {
    const producer = model.index.producer(source);
    if (!producer || !keepsShape(producer) || model.isFunctionCall(producer)) break;
    source = producer.inputs[0]!;
  }
  return source;
}

/**
 * Matches the only reader of a node, if it multiplies or adds one number per channel.
 * @returns The reader and its operand; no operand if that is a constant 1 or 0, which changes nothing.
 */
function matchAffineStep(
  types: ValueTypes,
  node: ModelNode,
  opType: 'Mul' | 'Add',
  x: ValueRef,
): { readonly node: ModelNode; readonly parameter: ValueRef | undefined } | undefined {
  const step = onlyReader(types.model, node, opType);
  const name = step?.inputs.find((input) => input !== outputOf(node));
  const { shape } = types.typeOf(name);
  if (!step || !name || !shape || !isChannelwise(shape, x.shape)) return undefined;
  if (isConstant(types, name, opType === 'Mul' ? 1 : 0)) return { node: step, parameter: undefined };
  const isPerChannel = shape.at(1 - x.shape.length) === x.shape[1];
  return isPerChannel ? { node: step, parameter: { name, dtype: x.dtype, shape } } : undefined;
}

/** Returns whether a shape broadcasts to x's as at most one number per channel: (1, C, 1, …), (C, 1, …) or ones. */
const isChannelwise = (shape: Shape, x: Shape): boolean =>
  shape.length <= x.length &&
  shape.every((dim, index) => {
    const axis = index + x.length - shape.length;
    return dim === 1 || (axis === 1 && dim === x[1]);
  });

function isConstant(types: ValueTypes, name: string | undefined, value: 0 | 1): boolean {
  const data = types.constant(name);
  return data !== undefined && isFilledWith(data, value);
}
