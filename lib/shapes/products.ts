/** Shapes of matrix products. Sources: ONNX operator pages MatMul and Gemm; `numpy.matmul`. */
import { type Shape, UNKNOWN_DIM } from '../tensor.js';
import { broadcastPair } from './broadcast.js';

/**
 * MatMul: (..., M, K) and (..., K, N) to (..., M, N), the dimensions before the last two broadcast; a vector is a row on
 * the left and a column on the right, and the result lacks that dimension.
 */
export function matMul(a: Shape, b: Shape): Shape {
  const rows = a.length < 2 ? [] : [a.at(-2)!];
  const columns = b.length < 2 ? [] : [b.at(-1)!];
  return [...broadcastPair(a.slice(0, -2), b.slice(0, -2)), ...rows, ...columns];
}

/** Gemm: (M, K) and (K, N) to (M, N), either input transposed where its flag says so. */
export function gemm(
  a: Shape | undefined,
  b: Shape | undefined,
  { transA, transB }: { readonly transA: boolean; readonly transB: boolean },
): Shape {
  return [a?.[transA ? 1 : 0] ?? UNKNOWN_DIM, b?.[transB ? 0 : 1] ?? UNKNOWN_DIM];
}
