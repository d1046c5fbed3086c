/** Matrix products. Sources: ONNX operator pages Gemm and MatMul; `torch.nn.Linear`, `torch.matmul`, `numpy.matmul`. */
import { GraphError } from '../../errors.js';
import * as infer from '../../shapes/broadcast.js';
import { broadcastsTo, compatible, isBroadcastable } from '../../shapes/broadcast.js';
import { type Dim, formatShape, type Shape } from '../../tensor.js';
import { float, int } from '../attr.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  knownOptions,
  requireFinite,
  requireFloat,
  requireNumeric,
  requireRank,
  requireSameDType,
  requireValues,
} from '../checks.js';
import type { Value } from '../types.js';

/** Options of {@link gemm}. */
export interface GemmOptions {
  /** Factor of the product. Default 1. */
  readonly alpha?: number;
  /** Factor of `c`. Default 1. */
  readonly beta?: number;
  /** Whether `a` is transposed, (K, M). Default false. */
  readonly transA?: boolean;
  /** Whether `b` is transposed, (N, K), as `torch.nn.Linear` keeps its weight. Default false. */
  readonly transB?: boolean;
}

/**
 * Returns alpha · a · b + beta · c. `torch.nn.Linear` is `gemm(g, x, weight, bias, { transB: true })`.
 * @param a (M, K), any float.
 * @param b (K, N), of the same dtype.
 * @param c Broadcastable to (M, N), of the same dtype, or undefined.
 * @returns (M, N).
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `MISSING_VALUE`, `INVALID_*`.
 */
export function gemm(g: Scope, a: Value, b: Value, c: Value | undefined, options: GemmOptions = {}): Value {
  const opType = 'Gemm';
  const known = ['alpha', 'beta', 'transA', 'transB'] as const;
  const { alpha = 1, beta = 1, transA = false, transB = false } = knownOptions(g, opType, options, known);
  requireValues(g, opType, { a, b }, { c });
  requireFloat(g, opType, a);
  requireSameDType(g, opType, a, b, c);
  requireFinite(g, opType, { alpha, beta });
  const shape = gemmShape(g, { a, b, c }, { transA, transB });
  const attributes = {
    alpha: float(alpha),
    beta: float(beta),
    transA: int(transA ? 1 : 0),
    transB: int(transB ? 1 : 0),
  };
  return g.node(opType, [a, b, c], attributes, [{ dtype: a.dtype, shape }])[0]!;
}

function gemmShape(
  g: Scope,
  { a, b, c }: { a: Value; b: Value; c: Value | undefined },
  { transA, transB }: { transA: boolean; transB: boolean },
): Shape {
  const opType = 'Gemm';
  const [, innerA] = matrix(g, opType, a, transA);
  const [innerB] = matrix(g, opType, b, transB);
  if (!compatible(innerA, innerB)) {
    const transposed = (is: boolean) => (is ? ' (transposed)' : '');
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: a ${describeValue(a)}${transposed(transA)} and b ${describeValue(b)}${transposed(transB)} ` +
        `do not fit: a has ${innerA} columns, but b has ${innerB} rows`,
    );
  }
  const product = infer.gemm(a.shape, b.shape, { transA, transB });
  if (c && !broadcastsTo(c.shape, product)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: c ${describeValue(c)} does not broadcast to the product's shape ${formatShape(product)}`,
    );
  }
  return product;
}

/** Returns the rows and columns of a matrix, transposed if `transposed`. */
function matrix(
  g: Scope,
  opType: string,
  value: Value,
  transposed: boolean,
): readonly [rows: Dim, columns: Dim] {
  const [first, second] = value.shape;
  if (value.rank === 2) return transposed ? [second!, first!] : [first!, second!];
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe(opType)}: ${describeValue(value)} must be a matrix, of rank 2; flatten makes one of any value`,
  );
}

/**
 * Returns a · b, as `torch.matmul` and NumPy do. The last two dimensions are matrices, and those before them broadcast; a
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
  if (!isBroadcastable(a.shape.slice(0, -2), b.shape.slice(0, -2))) {
    throw new GraphError('SHAPE_MISMATCH', `${where}: the dimensions before the last two do not broadcast`);
  }
  return infer.matMul(a.shape, b.shape);
}
