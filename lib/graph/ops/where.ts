/** A choice between two values. Sources: ONNX operator page Where; `torch.where`. */
import { GraphError } from '../../errors.js';
import type { Scope } from '../builder.js';
import { broadcastShapes, describeValue, requireSameDType, requireValues } from '../checks.js';
import type { Value } from '../types.js';

/**
 * `a` where `condition` is true and `b` where it is not, with NumPy's broadcasting of all three (`torch.where`).
 * @param condition bool. @param a Any dtype. @param b Of the same dtype.
 * @throws GraphError `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function where(g: Scope, condition: Value, a: Value, b: Value): Value {
  const opType = 'Where';
  requireValues(g, opType, { condition, a, b });
  if (condition.dtype !== 'bool') {
    throw new GraphError(
      'INVALID_DTYPE',
      `${g.describe(opType)}: condition ${describeValue(condition)} is ${condition.dtype}, but must be bool`,
    );
  }
  requireSameDType(g, opType, a, b);
  const either = broadcastShapes(a.shape, b.shape);
  const shape = either && broadcastShapes(condition.shape, either);
  if (!shape) {
    const all = [condition, a, b].map(describeValue).join(', ');
    throw new GraphError('SHAPE_MISMATCH', `${g.describe(opType)}: ${all} do not broadcast`);
  }
  return g.node(opType, [condition, a, b], {}, [{ dtype: a.dtype, shape }])[0]!;
}
