/**
 * NumPy's broadcasting, two dimensions that must fit each other, and the shapes of matrix products.
 * Sources: ONNX's Broadcasting.md; ONNX operator pages MatMul and Gemm; `numpy.matmul`.
 */
import { type Dim, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { maxDim } from './dims.js';

/** Whether two dimensions can be the same size; a name can be any size. */
export const compatible = (a: Dim, b: Dim): boolean =>
  typeof a === 'string' || typeof b === 'string' || a === b;

/** Returns the better known of two dimensions that must be equal at run time: a number, else the shorter expression. */
export function merge(a: Dim, b: Dim): Dim {
  if (!compatible(a, b)) return UNKNOWN_DIM;
  if (typeof a === 'number' || b === UNKNOWN_DIM) return a;
  if (typeof b === 'number' || a === UNKNOWN_DIM) return b;
  return b.length < a.length ? b : a;
}

/** Returns the shape that `shapes` broadcast to, with unknown dimensions where they do not; `undefined` if one is unknown. */
export function broadcast(shapes: readonly (Shape | undefined)[]): Shape | undefined {
  return shapes.reduce<Shape | undefined>(
    (joined, next) => joined && next && broadcastPair(joined, next),
    [],
  );
}

/** Returns the shape that `a` and `b` broadcast to. */
export const broadcastPair = (a: Shape, b: Shape): Shape =>
  aligned(a, b).map((dims) => broadcastDim(...dims));

/** Whether two shapes broadcast: every dimension fits the other's, or one of them is 1. */
export const isBroadcastable = (a: Shape, b: Shape): boolean =>
  aligned(a, b).every((dims) => dims.includes(1) || compatible(...dims));

/** The dimensions of two shapes in pairs, lined up at their ends; an absent dimension is 1. */
function aligned(a: Shape, b: Shape): [Dim, Dim][] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => [
    a[axis - rank + a.length] ?? 1,
    b[axis - rank + b.length] ?? 1,
  ]);
}

function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === 1) return b;
  if (b === 1) return a;
  // Either of two names may be 1 at run time, so that neither name is certain to be the result's size.
  return typeof a === 'string' && typeof b === 'string' ? maxDim(a, b) : merge(a, b);
}

/** Whether broadcasting `from` to the shape `to` gives exactly `to`. */
export const broadcastsTo = (from: Shape, to: Shape): boolean =>
  from.length <= to.length &&
  from.every((dim, axis) => dim === 1 || compatible(dim, to[axis - from.length + to.length]!));

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
