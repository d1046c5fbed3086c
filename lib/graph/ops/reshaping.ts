/**
 * Dimensions of size 1, taken away and added. Sources: ONNX operator pages Squeeze and Unsqueeze; `torch.squeeze`,
 * `unsqueeze`.
 */
import { GraphError } from '../../errors.js';
import { type Dim, formatShape, fromStart, int64Vector, type Shape } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  broadcastShapes,
  compatible,
  describeValue,
  formatList,
  knownOptions,
  requireIntegers,
  requireValues,
  resolveAxes,
} from '../checks.js';
import { requireShape } from '../declarations.js';
import { ints } from '../attr.js';
import { Value } from '../types.js';

/** Options of {@link squeeze}. */
export interface SqueezeOptions {
  /** Dimensions of size 1 to take away, at least one; negative ones count from the end. */
  readonly axes: readonly number[];
}

/** Options of {@link unsqueeze}. */
export interface UnsqueezeOptions {
  /** Where the result has its new dimensions of size 1, at least one; negative ones count from the result's end. */
  readonly axes: readonly number[];
}

/**
 * `x` without the dimensions `axes`, which must be of size 1 (`torch.squeeze`).
 * @param x Any dtype; where a size is a name, the runtime sees to it that it is 1.
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
  const shape = x.shape.filter((_, axis) => !gone.includes(axis));
  return g.node(opType, [x, g.constant(int64Vector(gone), 'axes')], {}, [{ dtype: x.dtype, shape }])[0]!;
}

/**
 * `x` with new dimensions of size 1 at `axes` of the result (`torch.unsqueeze`).
 * @param x Any dtype and rank.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function unsqueeze(g: Scope, x: Value, options: UnsqueezeOptions): Value {
  const opType = 'Unsqueeze';
  const { axes } = knownOptions(g, opType, options, ['axes']);
  requireValues(g, opType, { x });
  const added = requireNewAxes(g, x, axes);
  const shape: Dim[] = [...x.shape];
  for (const axis of [...added].sort((a, b) => a - b)) shape.splice(axis, 0, 1);
  return g.node(opType, [x, g.constant(int64Vector(added), 'axes')], {}, [{ dtype: x.dtype, shape }])[0]!;
}

/** Axes of the result, counted from the front. */
function requireNewAxes(g: Scope, x: Value, axes: readonly number[]): number[] {
  const rank = x.rank + (Array.isArray(axes) ? axes.length : 0);
  const isAxis = (axis: number) => Number.isSafeInteger(axis) && axis >= -rank && axis < rank;
  if (rank > x.rank && axes.every(isAxis)) {
    const added = axes.map((axis) => fromStart(axis, rank));
    if (new Set(added).size === added.length) return added;
  }
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Unsqueeze')}: axes ${formatList(axes)} must be one or more different axes of the result, which is ` +
      `${describeValue(x)} with them${rank > x.rank ? `: ${-rank} to ${rank - 1}` : ''}`,
  );
}

// SECTION: Dimensions in another order. Sources: ONNX operator page Transpose; `torch.permute`.

/** Options of {@link transpose}. */
export interface TransposeOptions {
  /** For each dimension of the result the axis that it is of `x`; negative ones count from the end. Default: reversed. */
  readonly perm?: readonly number[];
}

/**
 * `x` with its dimensions in the order of `perm` (`torch.permute`); without one in reverse, as a matrix's `.T`.
 * @param x Any dtype and rank.
 * @returns Dimension i is `x`'s dimension `perm[i]`.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function transpose(g: Scope, x: Value, options: TransposeOptions = {}): Value {
  const opType = 'Transpose';
  const { perm } = knownOptions(g, opType, options, ['perm']);
  requireValues(g, opType, { x });
  const axes = perm === undefined ? x.shape.map((_, axis) => x.rank - 1 - axis) : resolvePerm(g, x, perm);
  const shape = axes.map((axis) => x.shape[axis]!);
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

// SECTION: Expand. Source: the ONNX operator page of the same name.

/** Options of {@link expand}. */
export interface ExpandOptions {
  /** The shape of the result; must be given where the target is known only at run time. */
  readonly outputShape?: Shape | undefined;
}

/**
 * `x` repeated along its dimensions of size 1, by NumPy's broadcasting against `target` (`Tensor.expand`).
 * @param x Any dtype. @param target Sizes, or an int64 vector that has them at run time.
 * @throws OptionError, GraphError `SHAPE_MISMATCH` if the shapes do not broadcast, `MISSING_VALUE`, `INVALID_*`.
 */
export function expand(
  g: Scope,
  x: Value,
  target: readonly number[] | Value,
  options: ExpandOptions = {},
): Value {
  const { outputShape } = knownOptions(g, 'Expand', options, ['outputShape']);
  requireValues(g, 'Expand', { x });
  if (outputShape !== undefined) requireShape(outputShape, `${g.describe('Expand')}: outputShape`);
  const sizes = target instanceof Value ? runtimeSizes(g, target, outputShape) : listedSizes(g, target);
  const shape = broadcastShapes(x.shape, sizes);
  if (!shape) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe('Expand')}: ${describeValue(x)} does not broadcast to ${formatShape(sizes)}`,
    );
  }
  const input = target instanceof Value ? target : g.constant(int64Vector(target));
  return g.node('Expand', [x, input], {}, [{ dtype: x.dtype, shape }])[0]!;
}

/** The shape that a target has at run time, as the caller declares it. */
function runtimeSizes(g: Scope, target: Value, outputShape: Shape | undefined): Shape {
  const where = `${g.describe('Expand')}: target ${describeValue(target)}`;
  if (target.dtype !== 'int64' || target.rank !== 1) {
    throw new GraphError('INVALID_DTYPE', `${where} is ${target.dtype}, but must be an int64 vector`);
  }
  if (outputShape) return outputShape;
  throw new GraphError('INVALID_SHAPE', `${where} is known only at run time: give outputShape`);
}

function listedSizes(g: Scope, target: readonly number[]): readonly number[] {
  const reason = 'one for each dimension of the result';
  const length = Array.isArray(target) ? target.length : 1;
  requireIntegers(g, 'Expand', 'target', target, { length, least: 0, reason });
  return target;
}
