/** Products of stacked matrices. Sources: ONNX operator page MatMul; `numpy.matmul`, `torch.matmul`. */
import { GraphError } from '../../errors.js';
import type { Shape } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  broadcastShapes,
  compatible,
  describeValue,
  requireNumeric,
  requireRank,
  requireSameDType,
  requireValues,
} from '../checks.js';
import type { Value } from '../types.js';

/**
 * a · b, as `torch.matmul` and NumPy have it. The last two dimensions are matrices, and those before them broadcast; a
 * vector is a row on the left and a column on the right, and the result then lacks that dimension.
 * `torch.nn.Linear` on any rank is `add(g, matMul(g, x, transpose(g, weight)), bias)`.
 * @param a (..., M, K) or (K), any float, int32 or int64. Sizes may be names.
 * @param b (..., K, N) or (K), of the same dtype.
 * @returns (..., M, N), without M or N where that side is a vector.
 * @throws GraphError `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `RANK_TOO_LOW`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function matMul(g: Scope, a: Value, b: Value): Value {
  const opType = 'MatMul';
  requireValues(g, opType, { a, b });
  for (const value of [a, b]) requireRank(g, opType, value, 1, 'a vector, a matrix or a stack of matrices');
  requireSameDType(g, opType, a, b);
  requireNumeric(g, opType, a);
  return g.node(opType, [a, b], {}, [{ dtype: a.dtype, shape: productShape(g, a, b) }])[0]!;
}

function productShape(g: Scope, a: Value, b: Value): Shape {
  const [columns, rows] = [a.shape.at(-1)!, b.shape.at(b.rank === 1 ? 0 : -2)!];
  const where = `${g.describe('MatMul')}: a ${describeValue(a)} and b ${describeValue(b)}`;
  if (!compatible(columns, rows)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${where} do not fit: a has ${columns} columns, but b has ${rows} rows`,
    );
  }
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (!batch) {
    throw new GraphError('SHAPE_MISMATCH', `${where}: the dimensions before the last two do not broadcast`);
  }
  return [...batch, ...(a.rank === 1 ? [] : [a.shape.at(-2)!]), ...(b.rank === 1 ? [] : [b.shape.at(-1)!])];
}
