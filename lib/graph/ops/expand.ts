/** Expand. Source: the ONNX operator page of the same name. */
import { GraphError } from '../../errors.js';
import { formatShape, int64Vector, type Shape } from '../../tensor.js';
import type { Scope } from '../builder.js';
import { broadcastShapes, describeValue, knownOptions, requireIntegers, requireValues } from '../checks.js';
import { requireShape } from '../declarations.js';
import { Value } from '../types.js';

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
