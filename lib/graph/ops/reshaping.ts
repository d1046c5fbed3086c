/**
 * Operators that give the elements another shape, and the shape itself. Sources: ONNX operator pages Reshape, Flatten,
 * Expand and Shape; `torch.reshape`, `torch.Tensor.expand`.
 */
import { GraphError } from '../../errors.js';
import { compatible } from '../../shapes/broadcast.js';
import { productDim } from '../../shapes/dims.js';
import * as infer from '../../shapes/reshaping.js';
import { elementCount, formatShape, fromStart, int64Vector, isStatic, type Shape } from '../../tensor.js';
import { int } from '../attr.js';
import type { Scope } from '../builder.js';
import {
  broadcastShapes,
  describeValue,
  formatList,
  knownOptions,
  requireIntegers,
  requireValues,
} from '../checks.js';
import { requireShape } from '../declarations.js';
import { Value } from '../types.js';

/** Options of {@link reshape}. */
export interface ReshapeOptions {
  /** The result's shape, if the caller knows more than can be inferred. */
  readonly outputShape?: Shape;
}

/**
 * Returns the elements of `x`, in C order, in another shape.
 * @param x Any dtype and rank.
 * @param target Sizes: 0 copies the dimension at its index, and −1, at most once, takes the remaining elements; or an
 *   int64 [rank] value that is known only at run time, together with `outputShape`.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `INVALID_ATTRIBUTE`, `INVALID_DTYPE`, `INVALID_SHAPE` or `MISSING_VALUE`.
 */
export function reshape(
  g: Scope,
  x: Value,
  target: readonly number[] | Value,
  options: ReshapeOptions = {},
): Value {
  const opType = 'Reshape';
  const { outputShape } = knownOptions(g, opType, options, ['outputShape']);
  requireValues(g, opType, { x });
  if (outputShape !== undefined) requireShape(outputShape, `${g.describe(opType)}: outputShape`);
  const isRuntime = target instanceof Value;
  const inferred = isRuntime ? runtimeShape(g, x, target, outputShape) : listedShape(g, x, target);
  const result = outputShape ?? inferred;
  if (result.length !== inferred.length || !result.every((dim, axis) => compatible(dim, inferred[axis]!))) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: outputShape ${formatShape(result)} contradicts the target ${formatShape(inferred)}`,
    );
  }
  const input = isRuntime ? target : g.constant(int64Vector(target), 'shape');
  return g.node(opType, [x, input], {}, [{ dtype: x.dtype, shape: result }])[0]!;
}

/** Returns the shape that a list of sizes stands for. */
function listedShape(g: Scope, x: Value, target: readonly number[]): Shape {
  requireTarget(g, x, target);
  // A copied dimension is on both sides, so that the others can be compared even if it is a name.
  const rest = productDim(x.shape.filter((_, axis) => target[axis] !== 0));
  const known = elementCount(target.filter((size) => size > 0));
  const infers = target.includes(-1);
  const isEmpty = x.shape.some((dim, axis) => dim === 0 && target[axis] === 0);
  const fits = typeof rest === 'string' || (infers ? rest % known === 0 : rest === known);
  if (isEmpty ? infers : !fits) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe('Reshape')}: ${describeValue(x)} does not fit the target ${formatList(target)}: ` +
        'the number of elements must stay the same, and be more than 0 where -1 is to be inferred beside a 0',
    );
  }
  return infer.reshape(x.shape, target);
}

function requireTarget(g: Scope, x: Value, target: readonly number[]): void {
  const valid = (size: number, index: number) =>
    Number.isSafeInteger(size) && size >= -1 && (size !== 0 || index < x.rank);
  if (Array.isArray(target) && target.every(valid) && target.filter((size) => size === -1).length <= 1)
    return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Reshape')}: target ${formatList(target)} must be sizes, 0 where it copies a dimension of ` +
      `${describeValue(x)}, and -1 at most once`,
  );
}

/** Returns the shape that the caller declares for a target that is known only at run time. */
function runtimeShape(g: Scope, x: Value, target: Value, outputShape: Shape | undefined): Shape {
  const where = `${g.describe('Reshape')}: target ${describeValue(target)}`;
  if (target.dtype !== 'int64')
    throw new GraphError('INVALID_DTYPE', `${where} is ${target.dtype}, but must be int64`);
  if (!outputShape)
    throw new GraphError('INVALID_SHAPE', `${where} is known only at run time: give outputShape`);
  const length = target.shape[0];
  if (target.rank !== 1 || !compatible(length!, outputShape.length)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${where} must be [${outputShape.length}] to fit ${formatShape(outputShape)}`,
    );
  }
  if (isStatic(x.shape) && isStatic(outputShape) && elementCount(x.shape) !== elementCount(outputShape)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${where}: ${describeValue(x)} does not have the elements of outputShape ${formatShape(outputShape)}`,
    );
  }
  return outputShape;
}

/** Options of {@link flatten}. */
export interface FlattenOptions {
  /** The first axis of the columns, from −rank to rank. Default 1. */
  readonly axis?: number;
}

/**
 * Returns `x` as a matrix: the dimensions before `axis` become its rows, the others its columns.
 * @param x Any dtype and rank.
 * @returns (D0·…·D(axis−1), D(axis)·…).
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function flatten(g: Scope, x: Value, options: FlattenOptions = {}): Value {
  const opType = 'Flatten';
  const { axis = 1 } = knownOptions(g, opType, options, ['axis']);
  requireValues(g, opType, { x });
  if (!Number.isSafeInteger(axis) || axis < -x.rank || axis > x.rank) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe(opType)}: axis ${axis} does not divide ${describeValue(x)}; allowed: ${-x.rank} to ${x.rank}`,
    );
  }
  const first = fromStart(axis, x.rank);
  const shape = infer.flatten(x.shape, first);
  return g.node(opType, [x], { axis: int(first) }, [{ dtype: x.dtype, shape }])[0]!;
}

/** Options of {@link expand}. */
export interface ExpandOptions {
  /** The shape of the result; required if the target is known only at run time. */
  readonly outputShape?: Shape | undefined;
}

/**
 * Returns `x` repeated along its dimensions of size 1, by NumPy's broadcasting against `target` (`Tensor.expand`).
 * @param x Any dtype. @param target Sizes, or an int64 vector that holds them at run time.
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

/** Returns the sizes that the caller declares for a target that is known only at run time. */
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

/** Returns the shape of `x` as int64 [rank]. Any dtype. @throws GraphError `MISSING_VALUE`. */
export function shape(g: Scope, x: Value): Value {
  requireValues(g, 'Shape', { x });
  return g.node('Shape', [x], {}, [{ dtype: 'int64', shape: [x.rank] }])[0]!;
}
