/**
 * Shapes of the results of operators that keep all elements and change how they are divided into dimensions.
 * Sources: ONNX operator pages Reshape, Flatten, DepthToSpace and SpaceToDepth.
 */
import { type Dim, elementCount, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { divideDim, productDim } from './dims.js';

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
