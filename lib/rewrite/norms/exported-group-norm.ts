/**
 * GroupNorm as exporters write it: rows are normalized, and the result is reshaped, scaled and shifted.
 *
 *     x (N, C, …) → Reshape to rows (N, G, …) → normalization → Reshape to x's shape → Mul → Add → y
 *     x (N, …, C) → Reshape to rows (N, …, G, C / G) → normalization → Reshape to x's shape → Mul → Add → y
 *
 * matches if
 *
 * - the normalization is InstanceNormalization with constant ones and zeros, as PyTorch exports GroupNorm below opset 21,
 *   or arithmetic (`matchWrittenNorm`);
 * - the sizes G and C are known, and G divides C;
 * - the second Reshape keeps the first size of the rows in every run. Its other sizes are free: they have as many elements
 *   for each sample as the rows, in the same order;
 * - Mul and Add (both optional) take one number per channel, (C, 1, …) or (C) if the channels are last, or a constant 1
 *   or 0; γ and β of the arithmetic take one per channel of the rows, (1, G, C / G, 1, …) or (1, …, G, C / G);
 * - no other node, no body of control flow and no caller of the model reads the normalized rows or the value before Add;
 * - the model is of opset 7 or later, and does not have local functions in place of ONNX's operators.
 *
 * The second Reshape may be missing behind InstanceNormalization of (N, C, L): rows with one group per channel have x's
 * shape. Mul or Add must then follow.
 *
 * A match becomes one GroupNormalization, as the lowering writes it: of x, if x is known to have the shape of the result in
 * every run, or else of the rows, reshaped as the second Reshape does it. The nodes that no other node
 * reads then are removed.
 */
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import type { SiteRef, ValueRef } from '../../lowering/lower.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import {
  type Dim,
  type DType,
  elementCount,
  type FloatDType,
  isFloatDType,
  isStatic,
  type Shape,
  UNKNOWN_DIM,
} from '../../tensor.js';
import { readNames, removeDeadCode } from '../analysis/dead-code.js';
import { hasKnownArithmetic, isOp, onlyReader, outputOf } from '../analysis/patterns.js';
import { isConstant, lowerWith, type SiteLowering } from './sites.js';
import { ValueTypes } from '../analysis/value-types.js';
import { changesNothing, matchWrittenNorm, type RowNorm, sourceOf, unmoved } from './written-norm.js';

/** A match. */
export interface FoundGroupNorm {
  /** The node that normalizes: InstanceNormalization, or the last node of the arithmetic before scale and bias. */
  readonly norm: ModelNode;
  /** The node that the whole GroupNorm ends with. */
  readonly last: ModelNode;
  readonly site: SiteRef;
  /** Whether the variance is E[r²] − E[r]², which float32 loses digits in. */
  readonly isUnstable?: boolean | undefined;
}

/** A match without the facts about its arithmetic. */
type Exported = Pick<FoundGroupNorm, 'last' | 'site'>;

type Finder = (types: ValueTypes) => FoundGroupNorm[];

/** Returns every match whose normalization is InstanceNormalization. */
export const findExportedGroupNorm: Finder = (types) => find(types, matchExported);

/** Returns every match whose normalization is arithmetic. */
export const findWrittenGroupNorm: Finder = (types) => find(types, matchWritten);

const find = (
  types: ValueTypes,
  match: (types: ValueTypes, node: ModelNode) => FoundGroupNorm | undefined,
): FoundGroupNorm[] =>
  hasKnownArithmetic(types) ? types.index.nodes.flatMap((node) => match(types, node) ?? []) : [];

/**
 * Replaces every match whose normalization is InstanceNormalization.
 * @returns How many there are: 0 if the model is not modified.
 */
export const mergeExportedGroupNorm = (
  model: Model,
  lowering: SiteLowering,
  types = new ValueTypes(model),
): number => merge(model, lowering, findExportedGroupNorm(types));

/**
 * Replaces every match whose normalization is arithmetic.
 * @returns As {@link mergeExportedGroupNorm}.
 */
export const mergeWrittenGroupNorm = (
  model: Model,
  lowering: SiteLowering,
  types = new ValueTypes(model),
): number => merge(model, lowering, findWrittenGroupNorm(types));

function merge(model: Model, lowering: SiteLowering, found: readonly FoundGroupNorm[]): number {
  if (found.length === 0) return 0;
  const sites = new Map(found.map(({ last, site }) => [outputOf(last), site]));
  const [taken, before] = [model.names(), readNames(model)];
  const replaced = model.replaceNodes((node) => {
    const site = sites.get(outputOf(node));
    return site && lowerWith(lowering, site, model, taken);
  });
  removeDeadCode(model, before);
  return replaced;
}

function matchExported(types: ValueTypes, node: ModelNode): FoundGroupNorm | undefined {
  if (!isOp(node, 'InstanceNormalization')) return undefined;
  if (!isConstant(types, node.inputs[1], 1) || !isConstant(types, node.inputs[2], 0)) return undefined;
  const norm = {
    last: node,
    rows: node.inputs[0]!,
    groupAxis: 1,
    epsilon: types.asCalled(node).number('epsilon') ?? DEFAULT_EPSILON,
  };
  const found = matchReshaped(types, norm) ?? matchUnshaped(types, norm);
  return found && { norm: node, ...found };
}

function matchWritten(types: ValueTypes, node: ModelNode): FoundGroupNorm | undefined {
  const norm = matchWrittenNorm(types, node);
  const found = norm && matchReshaped(types, norm);
  return found && { norm: node, isUnstable: norm.isUnstable, ...found };
}

/** Where the channels of a shape are: scale and bias may have sizes other than 1 along these axes. */
interface Layout {
  readonly shape: Shape;
  readonly axes: readonly number[];
  readonly channels: number;
}

/** Matches rows that a Reshape gives another shape. */
function matchReshaped(types: ValueTypes, norm: RowNorm): Exported | undefined {
  const join = nextReader(types, norm.last, 'Reshape');
  const { shape } = types.typeOf(join && outputOf(join));
  const { shape: rows } = types.typeOf(norm.rows);
  const dtype = dtypeOf(types, norm);
  if (!join || !shape || !rows || !dtype || !keepsBatch(types, norm.rows, join)) return undefined;
  const isLast = norm.groupAxis !== 1;
  const axis = isLast ? shape.length - 1 : 1;
  const [numGroups, channels] = [rows[norm.groupAxis], shape[axis]];
  if (axis < 1 || !isSize(numGroups) || !isSize(channels) || channels % numGroups !== 0) return undefined;
  if (isLast && (axis === 1 || rows.at(-1) !== channels / numGroups)) return undefined;
  const inside = affineInside(types, norm, {
    shape: rows,
    axes: [norm.groupAxis, norm.groupAxis + 1],
    channels,
  });
  if (!inside) return undefined;
  const isInside = norm.scale !== undefined || norm.bias !== undefined;
  const behind = isInside ? { last: join } : affineBehind(types, join, { shape, axes: [axis], channels });
  const { last, scale, bias } = { ...inside, ...behind };
  const x = valueOfShape(types, norm.rows, join);
  const target: ValueRef = { name: join.inputs[1]!, dtype: 'int64', shape: [shape.length] };
  const reshape = { target, allowZero: types.asCalled(join).number('allowzero') === 1 };
  return {
    last,
    site: {
      ...siteOf(norm, { last, scale, bias }, numGroups, dtype),
      x: { name: x ?? norm.rows, dtype, shape: x === undefined ? rows : shape },
      view: { shape, reshape: x === undefined ? reshape : undefined, isChannelsLast: isLast },
    },
  };
}

/** Matches (N, C, L) with one group per channel: PyTorch's exporter removes Reshapes that change nothing. */
function matchUnshaped(types: ValueTypes, norm: RowNorm): Exported | undefined {
  const { shape } = types.typeOf(norm.rows);
  const dtype = dtypeOf(types, norm);
  const channels = shape?.[1];
  if (!dtype || shape?.length !== 3 || !isSize(channels)) return undefined;
  const affine = affineBehind(types, norm.last, { shape, axes: [1], channels });
  if (affine.last === norm.last) return undefined;
  const site = siteOf(norm, affine, channels, dtype);
  return { last: affine.last, site: { ...site, x: { name: norm.rows, dtype, shape } } };
}

const siteOf = (
  { last: { name }, epsilon, gain, isCorrected }: RowNorm,
  { last, scale, bias }: Affine,
  numGroups: number,
  dtype: DType,
): Omit<SiteRef, 'x'> => ({
  name,
  scale: scale && { ...scale, dtype },
  bias: bias && { ...bias, dtype },
  numGroups,
  epsilon,
  gain,
  isCorrected,
  output: outputOf(last),
});

const isSize = (dim: Dim | undefined): dim is number => typeof dim === 'number' && dim > 0;

/** Returns the dtype of rows, or of InstanceNormalization's scale, if it is known to be one float dtype. */
function dtypeOf(types: ValueTypes, { rows, last }: RowNorm): FloatDType | undefined {
  const { dtype: own } = types.typeOf(rows);
  const { dtype = own } = isOp(last, 'InstanceNormalization') ? types.typeOf(last.inputs[1]) : NO_TYPE;
  return dtype && isFloatDType(dtype) && (own === undefined || own === dtype) ? dtype : undefined;
}

const NO_TYPE = { dtype: undefined };

/** Returns whether a Reshape keeps the first size of the rows in every run. */
function keepsBatch(types: ValueTypes, rows: string, join: ModelNode): boolean {
  const [batch, joined] = [rows, outputOf(join)].map((name) => types.atRun.typeOf(name).shape?.[0]);
  return batch !== undefined && batch !== UNKNOWN_DIM && batch === joined;
}

/**
 * Returns the value that rows are made from by Reshape, if it has the shape that a second Reshape gives them in every run.
 * One size of the second may be left to it, as −1: the number of elements is the same.
 */
function valueOfShape(types: ValueTypes, rows: string, join: ModelNode): string | undefined {
  const split = types.index.producer(sourceOf(types, rows));
  if (!split || !isOp(split, 'Reshape')) return undefined;
  const x = split.inputs[0]!;
  const [shape, joined] = [x, outputOf(join)].map((name) => types.atRun.typeOf(name).shape);
  if (!shape || shape.length !== joined?.length) return undefined;
  const others = joined.flatMap((dim, axis) => (dim === shape[axis] && dim !== UNKNOWN_DIM ? [] : [axis]));
  const isRest = others.length === 1 && types.sizes(join.inputs[1])?.[others[0]!] === -1;
  return others.length === 0 || isRest ? x : undefined;
}

/** Networks have shorter chains. Without a limit, a damaged model whose nodes form a cycle would never end. */
const MAX_CHAIN = 100;

/** Returns the only reader of a node, behind nodes that change nothing, if it is the operator `opType`. */
function nextReader(types: ValueTypes, node: ModelNode, opType: string): ModelNode | undefined {
  let before = node;
  for (let step = 0; step < MAX_CHAIN; step++) {
    const reader = types.index.onlyReader(outputOf(before));
    if (!reader || reader.inputs[0] !== outputOf(before)) return undefined;
    if (isOp(reader, opType)) return reader;
    if (!changesNothing(types, reader)) return undefined;
    before = reader;
  }
  return undefined;
}

/** A part of a shape that is one number per channel. */
type Parameter = Omit<ValueRef, 'dtype'>;

interface Affine {
  readonly last: ModelNode;
  readonly scale?: Parameter | undefined;
  readonly bias?: Parameter | undefined;
}

/** Matches Mul and Add behind a node, each of which may be missing. */
function affineBehind(types: ValueTypes, node: ModelNode, layout: Layout): Affine {
  const mul = affineStep(types, node, 'Mul', layout);
  const add = affineStep(types, mul?.last ?? node, 'Add', layout);
  return { last: add?.last ?? mul?.last ?? node, scale: mul?.parameter, bias: add?.parameter };
}

function affineStep(
  types: ValueTypes,
  node: ModelNode,
  opType: 'Mul' | 'Add',
  layout: Layout,
): { readonly last: ModelNode; readonly parameter: Parameter | undefined } | undefined {
  const last = onlyReader(types, node, opType);
  const name = last?.inputs.find((input) => input !== outputOf(node));
  const found = last && matchParameter(types, name, opType === 'Mul' ? 1 : 0, layout);
  return found && { last, ...found };
}

/** Checks γ and β of arithmetic. Returns `undefined` if one of them is not one number per channel. */
function affineInside(
  types: ValueTypes,
  { scale, bias }: RowNorm,
  layout: Layout,
): Pick<Affine, 'scale' | 'bias'> | undefined {
  const found = [matchParameter(types, scale, 1, layout), matchParameter(types, bias, 0, layout)];
  if ((scale !== undefined && !found[0]) || (bias !== undefined && !found[1])) return undefined;
  return { scale: found[0]?.parameter, bias: found[1]?.parameter };
}

/** Matches one number per channel, or a constant that changes nothing: then the parameter is `undefined`. */
function matchParameter(
  types: ValueTypes,
  name: string | undefined,
  neutral: 0 | 1,
  { shape: whole, axes, channels }: Layout,
): { readonly parameter: Parameter | undefined } | undefined {
  const { shape } = types.typeOf(name);
  if (name === undefined || !shape || !isStatic(shape) || shape.length > whole.length) return undefined;
  const offset = whole.length - shape.length;
  const fits = (size: number, index: number) =>
    size === 1 || (axes.includes(index + offset) && size === whole[index + offset]);
  if (!shape.every(fits)) return undefined;
  if (isConstant(types, name, neutral)) return { parameter: undefined };
  return elementCount(shape) === channels ? { parameter: beforeReshapes(types, { name, shape }) } : undefined;
}

/** Returns the first value that has the same elements: the weights themselves, where exporters reshape them. */
function beforeReshapes(types: ValueTypes, { name, shape }: Parameter): Parameter {
  const source = unmoved(types, name);
  const { shape: before } = types.typeOf(source);
  const isSame =
    before && isStatic(before) && elementCount(before) === elementCount(shape as readonly number[]);
  return isSame ? { name: source, shape: before } : { name, shape };
}
