/**
 * Shapes of the results of operators that cut a tensor along axes or join tensors along one.
 * Sources: ONNX operator pages Slice, Split and Concat.
 */
import { type Dim, fromStart, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { merge } from './broadcast.js';
import { addDims, divideDim, sliceDim } from './dims.js';

/** The elements of Slice's inputs, as far as they are known. */
interface Cuts {
  readonly starts: Shape | undefined;
  readonly ends: Shape | undefined;
  /** Default: the first axes. */
  readonly axes?: Shape | undefined;
  /** Default: 1. */
  readonly steps?: Shape | undefined;
}

/** Slice: the part `starts` to `ends` of `x` along `axes`; indices outside are clamped. */
export function slice(x: Shape, { starts, ends, axes = starts?.map((_, axis) => axis), steps }: Cuts): Shape {
  if (!starts || !ends || !axes || !isStatic(axes)) return x.map(() => UNKNOWN_DIM);
  const cut = axes.map((axis) => fromStart(axis, x.length));
  return x.map((dim, axis) => {
    const index = cut.indexOf(axis);
    return index < 0 ? dim : cutSize(dim, starts[index], ends[index], steps ? steps[index] : 1);
  });
}

/** The size of a part. A step backwards gives an unknown size: ONNX Runtime and NumPy differ there. */
function cutSize(dim: Dim, start?: Dim, end?: Dim, step?: Dim): Dim {
  const isKnown = typeof start === 'number' && typeof end === 'number' && typeof step === 'number';
  if (!isKnown || step < 1) return UNKNOWN_DIM;
  const size = sliceDim(dim, start, end);
  return step === 1 ? size : divideDim(addDims(size, step - 1), step);
}

/** Split: one shape for each of `sizes`, which are the sizes of the parts along `axis`. */
export function split(x: Shape, axis: number, sizes: Shape): Shape[] {
  const along = fromStart(axis, x.length);
  return sizes.map((size) => x.map((dim, index) => (index === along ? size : dim)));
}

/** Returns the sizes of `count` equal parts of `dim`; unknown if ONNX would make the last one smaller, or may. */
export function equalParts(dim: Dim | undefined, count: number): Shape {
  const isEven = typeof dim === 'number' && dim % count === 0;
  return Array.from({ length: count }, () => (isEven ? dim / count : UNKNOWN_DIM));
}

/**
 * Concat: the inputs one after the other along `axis`. They agree in every other axis, so that each known input helps to
 * know the result; `undefined` if all are unknown.
 */
export function concat(inputs: readonly (Shape | undefined)[], axis: number): Shape | undefined {
  const [first, ...others] = inputs.filter((shape) => shape !== undefined);
  if (!first) return undefined;
  const along = fromStart(axis, first.length);
  const joined = others.reduce((shape, next) => join(shape, next, along), first);
  if (others.length + 1 === inputs.length) return joined;
  return joined.map((dim, index) => (index === along ? UNKNOWN_DIM : dim));
}

/** Concat of two inputs; `along` counts from the start. */
export const join = (a: Shape, b: Shape, along: number): Shape =>
  a.map((dim, axis) => {
    const other = b[axis] ?? UNKNOWN_DIM;
    return axis === along ? addDims(dim, other) : merge(dim, other);
  });
