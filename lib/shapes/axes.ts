/**
 * Shapes of the results of operators that move, add or remove whole axes.
 * Sources: ONNX operator pages Transpose, Squeeze, Unsqueeze, Gather, ReduceMean and Shape.
 */
import { type Dim, fromStart, type Shape, UNKNOWN_DIM } from '../tensor.js';

/** Transpose: dimension i of the result is dimension `perm[i]` of `x`; without `perm` the dimensions are reversed. */
export const transpose = (x: Shape, perm?: readonly number[]): Shape =>
  perm ? perm.map((axis) => x[fromStart(axis, x.length)] ?? UNKNOWN_DIM) : [...x].reverse();

/** Squeeze: `x` without `axes`. */
export function squeeze(x: Shape, axes: readonly number[]): Shape {
  const removed = new Set(axes.map((axis) => fromStart(axis, x.length)));
  return x.filter((_, axis) => !removed.has(axis));
}

/** Unsqueeze: `x` with new dimensions of size 1, so that they are at `axes` of the result. */
export function unsqueeze(x: Shape, axes: readonly number[]): Shape {
  const rank = x.length + axes.length;
  const added = new Set(axes.map((axis) => fromStart(axis, rank)));
  const rest = [...x];
  return Array.from({ length: rank }, (_, axis): Dim =>
    added.has(axis) ? 1 : (rest.shift() ?? UNKNOWN_DIM),
  );
}

/** ReduceMean and its kin: `axes`, or all axes, become 1 with `keepDims` and go without it. */
export function reduce(x: Shape, axes: readonly number[] | undefined, keepDims: boolean): Shape {
  const reduced = axes && new Set(axes.map((axis) => fromStart(axis, x.length)));
  return x.flatMap((dim, axis) => (reduced && !reduced.has(axis) ? [dim] : keepDims ? [1] : []));
}

/** Gather: `x` with the shape of `indices` in place of `axis`. */
export function gather(x: Shape, indices: Shape, axis: number): Shape {
  const along = fromStart(axis, x.length);
  return [...x.slice(0, along), ...indices, ...x.slice(along + 1)];
}

/** Returns the dimensions of `x` that Shape gives as elements: from `start` to `end`, or all of them. */
export const shapePart = (x: Shape, start?: number, end?: number): Shape => x.slice(start, end);
