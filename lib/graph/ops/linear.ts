/** Matrix products, and the way to them. Sources: ONNX operator pages Gemm and Flatten; `torch.nn.Linear`. */
import { GraphError } from '../../errors.js';
import type { Dim } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  broadcastsTo,
  compatible,
  describeValue,
  requireFloat,
  requireSameDType,
  requireValues,
} from '../checks.js';
import { productDim } from '../dims.js';
import { float, int, type Value } from '../types.js';

export interface GemmOptions {
  /** Factor of the product. Default 1. */
  readonly alpha?: number;
  /** Factor of `c`. Default 1. */
  readonly beta?: number;
  /** Whether `a` is given transposed, (K, M). Default false. */
  readonly transA?: boolean;
  /** Whether `b` is given transposed, (N, K), as `torch.nn.Linear` keeps its weight. Default false. */
  readonly transB?: boolean;
}

/**
 * alpha · a · b + beta · c. `torch.nn.Linear` is `gemm(g, x, weight, bias, { transB: true })`.
 * @param a (M, K), any float.
 * @param b (K, N), of the same dtype.
 * @param c Broadcastable to (M, N), of the same dtype, or nothing.
 * @returns (M, N).
 * @throws GraphError `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `MISSING_VALUE`, `INVALID_*`.
 */
export function gemm(
  g: Scope,
  a: Value,
  b: Value,
  c: Value | undefined,
  { alpha = 1, beta = 1, transA = false, transB = false }: GemmOptions = {},
): Value {
  const opType = 'Gemm';
  requireValues(g, opType, { a, b });
  requireFloat(g, opType, a);
  requireSameDType(g, opType, a, b, c);
  requireFinite(g, opType, { alpha, beta });
  const [m, innerA] = matrix(g, opType, a, transA);
  const [innerB, n] = matrix(g, opType, b, transB);
  if (!compatible(innerA, innerB)) {
    const transposed = (is: boolean) => (is ? ' (transposed)' : '');
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: a ${describeValue(a)}${transposed(transA)} and b ${describeValue(b)}${transposed(transB)} ` +
        `do not fit: a has ${innerA} columns, but b has ${innerB} rows`,
    );
  }
  if (c && !broadcastsTo(c.shape, [m, n])) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: c ${describeValue(c)} does not broadcast to the product's shape [${m}, ${n}]`,
    );
  }
  const attributes = {
    alpha: float(alpha),
    beta: float(beta),
    transA: int(transA ? 1 : 0),
    transB: int(transB ? 1 : 0),
  };
  return g.node(opType, [a, b, c], attributes, [{ dtype: a.dtype, shape: [m, n] }])[0]!;
}

/**
 * `x` as a matrix: the dimensions before `axis` become its rows, the others its columns.
 * @param x Any dtype and rank.
 * @param options `axis` −rank to rank; default 1.
 * @returns (D0·…·D(axis−1), D(axis)·…).
 * @throws GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function flatten(g: Scope, x: Value, { axis = 1 }: { readonly axis?: number } = {}): Value {
  const opType = 'Flatten';
  requireValues(g, opType, { x });
  if (!Number.isSafeInteger(axis) || axis < -x.rank || axis > x.rank) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe(opType)}: axis ${axis} does not divide ${describeValue(x)}; allowed: ${-x.rank} to ${x.rank}`,
    );
  }
  const first = axis < 0 ? axis + x.rank : axis;
  const shape = [productDim(x.shape.slice(0, first)), productDim(x.shape.slice(first))];
  return g.node(opType, [x], { axis: int(first) }, [{ dtype: x.dtype, shape }])[0]!;
}

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

function requireFinite(g: Scope, opType: string, numbers: Readonly<Record<string, number>>): void {
  for (const [option, value] of Object.entries(numbers)) {
    if (Number.isFinite(value)) continue;
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe(opType)}: ${option} ${value} must be a finite number`,
    );
  }
}
