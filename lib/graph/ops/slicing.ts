/**
 * Operators that take parts of a tensor along axes, or join tensors along one. Sources: ONNX operator pages Slice, Split,
 * Gather and Concat; `torch.split`, `torch.nn.Embedding`, `torch.cat`.
 */
import { GraphError } from '../../errors.js';
import { compatible } from '../../shapes/broadcast.js';
import { gather as gatheredShape } from '../../shapes/reshaping.js';
import * as infer from '../../shapes/slicing.js';
import { type Dim, int64Vector, type Shape } from '../../tensor.js';
import { int, ints } from '../attr.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  formatList,
  knownOptions,
  requireIntegers,
  requireSameDType,
  requireValues,
  resolveAxes,
  resolveAxis,
} from '../checks.js';
import type { Value } from '../types.js';

/** Options of {@link slice}: three lists of one length. */
export interface SliceOptions {
  /** The first index along each axis; a negative index counts from the end. */
  readonly starts: readonly number[];
  /** The index after the last along each axis; 2³¹ − 1 and more mean the axis's end. */
  readonly ends: readonly number[];
  /** The axes to cut; a negative axis counts from the end. */
  readonly axes: readonly number[];
}

/**
 * Returns the part `starts` to `ends` of `x` along `axes`, with step 1; indices outside are clamped, as in Python.
 * @param x Any dtype, rank 1 or more.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function slice(g: Scope, x: Value, options: SliceOptions): Value {
  const opType = 'Slice';
  const { starts, ends, axes } = knownOptions(g, opType, options, ['starts', 'ends', 'axes']);
  requireValues(g, opType, { x });
  const cut = resolveAxes(g, opType, axes, x);
  const each = { length: cut.length, reason: 'one for each axis' };
  requireIntegers(g, opType, 'starts', starts, each);
  requireIntegers(g, opType, 'ends', ends, each);
  const shape = infer.slice(x.shape, { starts, ends, axes: cut });
  const attributes = { starts: ints([...starts]), ends: ints([...ends]), axes: ints(cut) };
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape }])[0]!;
}

/** Options of {@link split}. */
export interface SplitOptions {
  /** The axis to cut; a negative axis counts from the end. */
  readonly axis: number;
  /** The size of each part along the axis, at least 0; their sum is the axis's size. */
  readonly sizes: readonly number[];
}

/**
 * Cuts `x` along `axis` into one part for each of `sizes` (`torch.split` with a list; `torch.chunk` with equal sizes).
 * @param x Any dtype, rank 1 or more. If the size of the axis is a name, the runtime compares it with the sum.
 * @returns The parts, in order.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function split(g: Scope, x: Value, options: SplitOptions): Value[] {
  const opType = 'Split';
  const { axis, sizes } = knownOptions(g, opType, options, ['axis', 'sizes']);
  requireValues(g, opType, { x });
  const along = resolveAxis(g, opType, axis, x);
  const length = Array.isArray(sizes) ? Math.max(sizes.length, 1) : 1;
  requireIntegers(g, opType, 'sizes', sizes, { length, least: 0, reason: 'one for each part' });
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (!compatible(x.shape[along]!, sum)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: sizes ${formatList(sizes)} add up to ${sum}, but axis ${along} of ${describeValue(x)} is ` +
        `${x.shape[along]}`,
    );
  }
  const parts = infer.split(x.shape, along, sizes).map((shape) => ({ dtype: x.dtype, shape }));
  return g.node(opType, [x, g.constant(int64Vector(sizes), 'split')], { axis: int(along) }, parts);
}

/** Options of {@link gather}. */
export interface GatherOptions {
  /** The axis that `indices` count along; a negative axis counts from the end. Default 0. */
  readonly axis?: number;
}

/**
 * Returns the slices of `x` at `indices` along `axis`. `torch.nn.Embedding` is `gather(g, weight, indices)`.
 * @param x Any dtype, rank 1 or more.
 * @param indices int32 or int64, any rank; from −size to size − 1 of the axis, which the runtime checks.
 * @returns The shape of `x` with the shape of `indices` in place of `axis`.
 * @throws OptionError, GraphError `INVALID_DTYPE`, `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function gather(g: Scope, x: Value, indices: Value, options: GatherOptions = {}): Value {
  const opType = 'Gather';
  const { axis = 0 } = knownOptions(g, opType, options, ['axis']);
  requireValues(g, opType, { x, indices });
  if (indices.dtype !== 'int32' && indices.dtype !== 'int64') {
    throw new GraphError(
      'INVALID_DTYPE',
      `${g.describe(opType)}: indices ${describeValue(indices)} is ${indices.dtype}, but must be int32 or int64`,
    );
  }
  const along = resolveAxis(g, opType, axis, x);
  const shape = gatheredShape(x.shape, indices.shape, along);
  return g.node(opType, [x, indices], { axis: int(along) }, [{ dtype: x.dtype, shape }])[0]!;
}

/** Options of {@link concat}. */
export interface ConcatOptions {
  /** The axis along which the values are joined; a negative axis counts from the end. */
  readonly axis: number;
}

/**
 * Joins the values one after the other along `axis` (`torch.cat`).
 * @param values At least one; any dtype, the same for all, and the same shape except along `axis`.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function concat(g: Scope, values: readonly Value[], options: ConcatOptions): Value {
  const opType = 'Concat';
  const { axis } = knownOptions(g, opType, options, ['axis']);
  const isList: boolean = Array.isArray(values);
  if (!isList) {
    throw new GraphError('MISSING_VALUE', `${g.describe(opType)}: its inputs must be a list of values`);
  }
  const [first, ...others] = values;
  const inputs = [first, ...others].map((value, index) => [`input ${index}`, value!] as const);
  requireValues(g, opType, Object.fromEntries(inputs));
  requireSameDType(g, opType, ...values);
  const along = resolveAxis(g, opType, axis, first!);
  const shape = others.reduce((joined, value) => joinShapes(g, along, first!, joined, value), first!.shape);
  return g.node(opType, values, { axis: int(along) }, [{ dtype: first!.dtype, shape }])[0]!;
}

function joinShapes(g: Scope, along: number, first: Value, joined: Shape, next: Value): Shape {
  const fits = (dim: Dim, axis: number) => axis === along || compatible(dim, joined[axis]!);
  if (next.rank === joined.length && next.shape.every(fits)) return infer.join(joined, next.shape, along);
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe('Concat')}: ${describeValue(first)} and ${describeValue(next)} cannot be joined along axis ${along}: ` +
      'they must have the same rank, and the same size along every other axis',
  );
}
