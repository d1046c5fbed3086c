/**
 * Shapes of the results of operators that move, add or remove whole axes, or divide the elements into other dimensions.
 * Sources: ONNX operator pages Transpose, Squeeze, Unsqueeze, Gather, ReduceMean, Shape, Reshape, Flatten, DepthToSpace and
 * SpaceToDepth.
 */
import { type Dim, elementCount, fromStart, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { divideDim, productDim } from './dims.js';

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

/**
 * Reshape: the sizes of `target`, of which 0 copies the dimension of `x` at its index, unless `allowZero`, and −1 takes
 * the remaining elements.
 */
export function reshape(x: Shape | undefined, target: Shape, allowZero = false): Shape {
  const isCopied = (axis: number) => target[axis] === 0 && !allowZero;
  return target.map((size, axis) => {
    if (isCopied(axis)) return x?.[axis] ?? UNKNOWN_DIM;
    return size === -1 ? remaining(x, target, isCopied) : size;
  });
}

/** The size that −1 stands for. A copied dimension is on both sides, so that it need not be known. */
function remaining(x: Shape | undefined, target: Shape, isCopied: (axis: number) => boolean): Dim {
  if (!x) return UNKNOWN_DIM;
  const isEmpty = x.some((dim, axis) => dim === 0 && isCopied(axis));
  if (isEmpty) return UNKNOWN_DIM;
  const others = target.filter((size, axis) => size !== -1 && !isCopied(axis));
  return quotient(
    ...withoutCommonNames(
      x.filter((_, axis) => !isCopied(axis)),
      others,
    ),
  );
}

/** Returns two lists of dimensions without the names that are in both. */
function withoutCommonNames(a: Shape, b: Shape): [Dim[], Dim[]] {
  const left: Dim[] = [];
  const right = [...b];
  for (const dim of a) {
    const index = typeof dim === 'number' || dim === UNKNOWN_DIM ? -1 : right.indexOf(dim);
    if (index < 0) left.push(dim);
    else right.splice(index, 1);
  }
  return [left, right];
}

/** Returns the product of `dims` by that of `divisors`; unknown if it has a remainder, or if a divisor is a name or 0. */
function quotient(dims: Shape, divisors: Shape): Dim {
  return isStatic(divisors) ? exactly(productDim(dims), elementCount(divisors)) : UNKNOWN_DIM;
}

/** Flatten: the dimensions before `axis` become the rows, the others the columns. */
export const flatten = (x: Shape, axis: number): Shape => [
  productDim(x.slice(0, axis)),
  productDim(x.slice(axis)),
];

/** DepthToSpace: each `blocksize`² channels of (N, C, H, W) become a block of pixels. */
export function depthToSpace(x: Shape, blocksize: number): Shape {
  if (x.length !== 4) return x.map(() => UNKNOWN_DIM);
  const [batch, channels, ...image] = x;
  const spatial = image.map((dim) => productDim([dim, blocksize]));
  return [batch!, exactly(channels!, blocksize ** 2), ...spatial];
}

/** SpaceToDepth: the inverse of DepthToSpace. */
export function spaceToDepth(x: Shape, blocksize: number): Shape {
  if (x.length !== 4) return x.map(() => UNKNOWN_DIM);
  const [batch, channels, ...image] = x;
  const spatial = image.map((dim) => exactly(dim, blocksize));
  return [batch!, productDim([channels!, blocksize ** 2]), ...spatial];
}

/** Returns `dim` / `divisor`; unknown if a number has a remainder. */
function exactly(dim: Dim, divisor: number): Dim {
  return typeof dim === 'number' && dim % divisor !== 0 ? UNKNOWN_DIM : divideDim(dim, divisor);
}
