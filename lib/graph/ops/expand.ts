/** Expand. Source: the ONNX operator page of the same name. */
import { GraphError } from '../../errors.js';
import { formatShape, int64Vector, type Shape } from '../../tensor.js';
import type { Scope } from '../builder.js';
import { broadcastShapes, describeValue, requireIntegers, requireValues } from '../checks.js';
import { Value } from '../types.js';

export interface ExpandOptions {
  /** The shape of the result; must be given where the target is known only at run time. */
  readonly outputShape?: Shape | undefined;
}

/**
 * `x` repeated along its dimensions of size 1, by NumPy's broadcasting against `target` (`Tensor.expand`).
 * @param x Any dtype. @param target Sizes, or an int64 vector that has them at run time.
 * @throws GraphError `SHAPE_MISMATCH` if the shapes do not broadcast, `MISSING_VALUE`, `INVALID_*`.
 */
export function expand(
  g: Scope,
  x: Value,
  target: readonly number[] | Value,
  { outputShape }: ExpandOptions = {},
): Value {
  requireValues(g, 'Expand', { x });
  const isRuntime = target instanceof Value;
  if (isRuntime && (target.dtype !== 'int64' || target.rank !== 1)) {
    throw new GraphError(
      'INVALID_DTYPE',
      `${g.describe('Expand')}: target ${describeValue(target)} is ${target.dtype}, but must be an int64 vector`,
    );
  }
  const sizes = isRuntime ? outputShape : target;
  if (!sizes) {
    throw new GraphError(
      'INVALID_SHAPE',
      `${g.describe('Expand')}: the target is known only at run time: give outputShape`,
    );
  }
  if (!isRuntime) {
    const reason = 'one for each dimension of the result';
    requireIntegers(g, 'Expand', 'target', target, { length: target.length, least: 0, reason });
  }
  const shape = broadcastShapes(x.shape, sizes);
  if (!shape) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe('Expand')}: ${describeValue(x)} does not broadcast to ${formatShape(sizes)}`,
    );
  }
  const input = isRuntime ? target : g.constant(int64Vector(target));
  return g.node('Expand', [x, input], {}, [{ dtype: x.dtype, shape }])[0]!;
}
