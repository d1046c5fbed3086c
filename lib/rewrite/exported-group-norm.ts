/**
 * GroupNorm as PyTorch exports it below opset 21: (N, C, ...) is made (N, G, K), put through InstanceNormalization
 * without scale and bias, and given its own shape again; then Mul and Add with (C, 1, ...).
 */
import { DEFAULT_EPSILON } from '../graph/ops/normalization.js';
import type { Fragment, SiteRef, ValueRef } from '../lowering/lower-site.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { keepsShape } from '../shapes/operators.js';
import { isFloatDType, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { isOp, outputOf, Uses } from './graph-uses.js';
import { hasLowerings, isFilledWith, lowerBy, type SiteLowering } from './sites.js';
import { ValueTypes } from './value-types.js';

/** One of them, and the nodes before its last one that do nothing else. */
interface Exported {
  readonly site: SiteRef;
  readonly inner: readonly ModelNode[];
}

interface Context {
  readonly types: ValueTypes;
  readonly uses: Uses;
}

/**
 * Puts one normalization in the place of each that is that for certain: InstanceNormalization's scale and bias are
 * constant ones and zeros, the result has x's shape whatever the sizes are, and nobody else reads what lies between.
 * @returns How many there were.
 */
export function mergeExportedGroupNorm(
  model: Model,
  lowering: SiteLowering,
  types = new ValueTypes(model),
): number {
  // The body of an If or Loop may read any value of the graph, which `nodes` does not show.
  if (!hasLowerings(model) || model.nestedOpTypes().size > 0) return 0;
  const context = { types, uses: new Uses(model) };
  const found = model.nodes.flatMap((node) => findExported(context, node) ?? []);
  if (found.length === 0) return 0;
  const taken = model.names();
  const sites = new Map(found.map(({ site }) => [site.output, site]));
  const inner = new Set(found.flatMap((one) => one.inner.map(outputOf)));
  model.replaceNodes((node): Fragment | undefined => {
    const site = sites.get(outputOf(node));
    if (site) return lowerBy(lowering, site, model, taken);
    return inner.has(outputOf(node)) ? { nodes: [], constants: [] } : undefined;
  });
  return found.length;
}

function findExported(context: Context, norm: ModelNode): Exported | undefined {
  if (!isOp(norm, 'InstanceNormalization')) return undefined;
  const { types, uses } = context;
  const [split, join] = [uses.producer(norm.inputs[0]!), onlyReader(uses, norm, 'Reshape')];
  if (!split || !join || join.inputs[0] !== outputOf(norm)) return undefined;
  const x = inputOf(types, split, norm);
  const numGroups = groupsOf(types, split);
  if (!x || !numGroups || (x.shape[1] as number) % numGroups !== 0) return undefined;
  if (!isConstant(types, norm.inputs[1], 1) || !isConstant(types, norm.inputs[2], 0)) return undefined;
  if (!givesShapeOf(context, join, x)) return undefined;
  const mul = affineStep(context, join, 'Mul', x);
  const add = affineStep(context, mul?.node ?? join, 'Add', x);
  const chain = [norm, join, mul?.node, add?.node].filter((node) => node !== undefined);
  const shape = uses.producer(join.inputs[1]!);
  const sources = [split, ...(shape && isOp(shape, 'Shape') ? [shape] : [])];
  return {
    site: {
      name: norm.name,
      x,
      scale: mul?.parameter,
      bias: add?.parameter,
      numGroups,
      epsilon: norm.number('epsilon') ?? DEFAULT_EPSILON,
      output: outputOf(chain.at(-1)!),
    },
    inner: [
      ...chain.slice(0, -1),
      ...sources.filter((node) => uses.onlyReaders(outputOf(node)).length === 1),
    ],
  };
}

function onlyReader(uses: Uses, node: ModelNode, opType: string): ModelNode | undefined {
  const [reader, ...others] = uses.onlyReaders(outputOf(node));
  return reader && others.length === 0 && isOp(reader, opType) ? reader : undefined;
}

/** (N, C, ...) of known rank and channels, and of one float dtype with what normalizes it. */
function inputOf(types: ValueTypes, split: ModelNode, norm: ModelNode): ValueRef | undefined {
  const name = split.inputs[0]!;
  const { dtype: own, shape } = types.typeOf(name);
  const { dtype = own } = types.typeOf(norm.inputs[1]);
  if (!dtype || !isFloatDType(dtype) || (own !== undefined && own !== dtype)) return undefined;
  return shape && typeof shape[1] === 'number' && shape[1] > 0 ? { name, dtype, shape } : undefined;
}

/** G, where the node makes (N, C, ...) to (N, G, K). */
function groupsOf(types: ValueTypes, split: ModelNode): number | undefined {
  if (!isOp(split, 'Reshape') || split.number('allowzero') === 1) return undefined;
  const target = types.constant(split.inputs[1]) && types.sizes(split.inputs[1]);
  const isRows = target?.length === 3 && target[0] === 0 && target[2] === -1;
  return isRows && (target[1] as number) > 0 ? (target[1] as number) : undefined;
}

/** Whether a node makes (N, G, K) to x's shape: each size is that of x, and one may be left to Reshape. */
function givesShapeOf(context: Context, join: ModelNode, x: ValueRef): boolean {
  const { types } = context;
  const target = join.inputs[1];
  const source = types.shapeIsOf(target);
  // Another value may have other sizes under the same names.
  if (source !== undefined && !isStatic(x.shape))
    return sourceOf(context, source) === sourceOf(context, x.name);
  const sizes = types.sizes(target);
  if (sizes?.length !== x.shape.length) return false;
  const copiesBatch = sizes[0] === 0 && join.number('allowzero') !== 1;
  const others = sizes.filter(
    (size, axis) =>
      !(axis === 0 && copiesBatch) && (size !== x.shape[axis] || size === UNKNOWN_DIM || size === 0),
  );
  return others.length === 0 || (others.length === 1 && others[0] === -1);
}

/** Longer chains than networks have; what comes from itself has no end. */
const MAX_CHAIN = 100;

/** The value whose shape a value has, element by element computed from it. */
function sourceOf({ types, uses }: Context, name: string): string {
  let source = name;
  for (let step = 0; step < MAX_CHAIN; step++) {
    const producer = uses.producer(source);
    if (!producer || !keepsShape(producer) || types.model.isFunctionCall(producer)) break;
    source = producer.inputs[0]!;
  }
  return source;
}

/** The only node that reads the result, if it multiplies or adds one number a channel; a neutral one is left out. */
function affineStep(
  { types, uses }: Context,
  node: ModelNode,
  opType: 'Mul' | 'Add',
  x: ValueRef,
): { readonly node: ModelNode; readonly parameter: ValueRef | undefined } | undefined {
  const step = onlyReader(uses, node, opType);
  const name = step?.inputs.find((input) => input !== outputOf(node));
  const { shape } = types.typeOf(name);
  if (!step || !name || !shape || !isChannelwise(shape, x.shape)) return undefined;
  if (isConstant(types, name, opType === 'Mul' ? 1 : 0)) return { node: step, parameter: undefined };
  const isPerChannel = shape.at(1 - x.shape.length) === x.shape[1];
  return isPerChannel ? { node: step, parameter: { name, dtype: x.dtype, shape } } : undefined;
}

/** (C, 1, ...), with 1 for the batch or without it, or with 1 for C: broadcast to x's shape it is one per channel. */
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
