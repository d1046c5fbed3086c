/**
 * Operators on whole axes: their order, dimensions of size 1, and reductions. Sources: ONNX operator pages Transpose,
 * Squeeze, Unsqueeze, ReduceMean and ReduceProd; `torch.permute`, `squeeze`, `unsqueeze`, `mean`, `prod`.
 */
import { GraphError } from '../../errors.js';
import { compatible } from '../../shapes/broadcast.js';
import * as infer from '../../shapes/reshaping.js';
import { fromStart } from '../../tensor.js';
import { int, ints } from '../attr.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  formatList,
  knownOptions,
  requireFloat,
  requireNumeric,
  requireValues,
  resolveAxes,
} from '../checks.js';
import type { Value } from '../types.js';

/** Options of {@link transpose}. */
export interface TransposeOptions {
  /** The axis of `x` for each dimension of the result; a negative axis counts from the end. Default: all reversed. */
  readonly perm?: readonly number[];
}

/**
 * Returns `x` with its dimensions in the order of `perm` (`torch.permute`), by default reversed, as a matrix's `.T`.
 * @param x Any dtype and rank.
 * @returns Dimension i is `x`'s dimension `perm[i]`.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function transpose(g: Scope, x: Value, options: TransposeOptions = {}): Value {
  const opType = 'Transpose';
  const { perm } = knownOptions(g, opType, options, ['perm']);
  requireValues(g, opType, { x });
  const axes = perm === undefined ? x.shape.map((_, axis) => x.rank - 1 - axis) : resolvePerm(g, x, perm);
  const shape = infer.transpose(x.shape, axes);
  return g.node(opType, [x], { perm: ints(axes) }, [{ dtype: x.dtype, shape }])[0]!;
}

function resolvePerm(g: Scope, x: Value, perm: readonly number[]): number[] {
  if (!Array.isArray(perm) || perm.length !== x.rank) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe('Transpose')}: perm ${formatList(perm)} must have each of the ${x.rank} axes of ${describeValue(x)} once`,
    );
  }
  return x.rank === 0 ? [] : resolveAxes(g, 'Transpose', perm, x);
}

/** Options of {@link squeeze}. */
export interface SqueezeOptions {
  /** The axes to remove, at least one, each of size 1; a negative axis counts from the end. */
  readonly axes: readonly number[];
}

/** Options of {@link unsqueeze}. */
export interface UnsqueezeOptions {
  /** The axes of the result that are new, at least one; a negative axis counts from the result's end. */
  readonly axes: readonly number[];
}

/**
 * Returns `x` without the dimensions `axes`, which must be of size 1 (`torch.squeeze`).
 * @param x Any dtype; the runtime checks a size that is a name.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function squeeze(g: Scope, x: Value, options: SqueezeOptions): Value {
  const opType = 'Squeeze';
  const { axes } = knownOptions(g, opType, options, ['axes']);
  requireValues(g, opType, { x });
  const gone = resolveAxes(g, opType, axes, x);
  const large = gone.find((axis) => !compatible(x.shape[axis]!, 1));
  if (large !== undefined) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: axis ${large} of ${describeValue(x)} is ${x.shape[large]}, but only one of size 1 can go`,
    );
  }
  const shape = infer.squeeze(x.shape, gone);
  return g.node(opType, [x], { axes: ints(gone) }, [{ dtype: x.dtype, shape }])[0]!;
}

/**
 * Returns `x` with new dimensions of size 1 at `axes` of the result (`torch.unsqueeze`).
 * @param x Any dtype and rank.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function unsqueeze(g: Scope, x: Value, options: UnsqueezeOptions): Value {
  const opType = 'Unsqueeze';
  const { axes } = knownOptions(g, opType, options, ['axes']);
  requireValues(g, opType, { x });
  const added = requireNewAxes(g, x, axes);
  const shape = infer.unsqueeze(x.shape, added);
  return g.node(opType, [x], { axes: ints(added) }, [{ dtype: x.dtype, shape }])[0]!;
}

/** Returns the new axes of the result, counted from the start. */
function requireNewAxes(g: Scope, x: Value, axes: readonly number[]): number[] {
  const rank = x.rank + (Array.isArray(axes) ? axes.length : 0);
  const isAxis = (axis: number) => Number.isSafeInteger(axis) && axis >= -rank && axis < rank;
  if (rank > x.rank && axes.every(isAxis)) {
    const added = axes.map((axis) => fromStart(axis, rank));
    if (new Set(added).size === added.length) return added;
  }
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Unsqueeze')}: axes ${formatList(axes)} must name at least one new axis and none twice` +
      (rank > x.rank
        ? `; ${describeValue(x)} with these axes has rank ${rank}, so each axis must be from ${-rank} to ${rank - 1}`
        : ''),
  );
}

/** Options of {@link reduceMean} and {@link reduceProd}. */
export interface ReduceOptions {
  /** Axes to reduce, at least one; a negative axis counts from the end. */
  readonly axes: readonly number[];
  /** Whether a reduced axis stays, with size 1. Default true. */
  readonly keepdims?: boolean;
}

/**
 * Returns the mean over `axes`, for any float `x`.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function reduceMean(g: Scope, x: Value, options: ReduceOptions): Value {
  requireValues(g, 'ReduceMean', { x });
  requireFloat(g, 'ReduceMean', x);
  return reduce(g, 'ReduceMean', x, options);
}

/**
 * Returns the product over `axes`, for `x` of any float, int32 or int64.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function reduceProd(g: Scope, x: Value, options: ReduceOptions): Value {
  requireValues(g, 'ReduceProd', { x });
  requireNumeric(g, 'ReduceProd', x);
  return reduce(g, 'ReduceProd', x, options);
}

function reduce(g: Scope, opType: string, x: Value, options: ReduceOptions): Value {
  const { axes, keepdims = true } = knownOptions(g, opType, options, ['axes', 'keepdims']);
  const reduced = resolveAxes(g, opType, axes, x).sort((a, b) => a - b);
  const shape = infer.reduce(x.shape, reduced, keepdims);
  const attributes = { axes: ints(reduced), keepdims: int(keepdims ? 1 : 0) };
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape }])[0]!;
}
