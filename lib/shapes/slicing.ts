/**
 * Shapes of the results of operators that cut, join or resize tensors along axes.
 * Sources: ONNX operator pages Slice, Split, Concat, Pad, Resize and Tile.
 */
import { type Dim, fromStart, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { merge } from './broadcast.js';
import { addDims, divideDim, productDim, resizeDim, sliceDim, sumDims } from './dims.js';

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
  const known = inputs.filter((shape) => shape !== undefined);
  const [first] = known;
  if (!first) return undefined;
  const along = fromStart(axis, first.length);
  return first.map((_, index) => {
    const dims = known.map((shape) => shape[index] ?? UNKNOWN_DIM);
    if (index !== along) return dims.reduce(merge);
    return known.length === inputs.length ? sumDims(dims) : UNKNOWN_DIM;
  });
}

/** Concat of two inputs; `along` counts from the start. */
export const join = (a: Shape, b: Shape, along: number): Shape =>
  a.map((dim, axis) => {
    const other = b[axis] ?? UNKNOWN_DIM;
    return axis === along ? addDims(dim, other) : merge(dim, other);
  });

/** Pad: all beginnings, then all ends; `axes` are the padded axes, by default all. */
export function pad(x: Shape, pads: Shape | undefined, axes: Shape = axesOf(x)): Shape {
  if (!pads || !isStatic(axes) || pads.length !== 2 * axes.length) return x.map(() => UNKNOWN_DIM);
  return along(x, axes, (dim, index) => addDims(dim, pads[index]!, pads[index + axes.length]!));
}

/** The elements of Resize's inputs, as far as they are known: a factor or a size for each of the axes. */
interface ResizeTarget {
  readonly scales?: Shape | undefined;
  readonly sizes?: Shape | undefined;
  /** Default: all. */
  readonly axes?: readonly number[] | undefined;
}

/** Resize: `sizes` where they are given, else each dimension times its scale. */
export function resize(x: Shape, { scales, sizes, axes = axesOf(x) }: ResizeTarget): Shape {
  return along(x, axes, (dim, index) => {
    if (sizes?.length === axes.length) return sizes[index]!;
    const scale = scales?.length === axes.length ? scales[index] : undefined;
    return typeof scale === 'number' ? resizeDim(dim, scale) : UNKNOWN_DIM;
  });
}

/** Tile: each dimension times its number of repeats. */
export function tile(x: Shape, repeats: Shape | undefined): Shape {
  return x.map((dim, axis) =>
    repeats?.length === x.length ? productDim([dim, repeats[axis]!]) : UNKNOWN_DIM,
  );
}

const axesOf = (x: Shape): number[] => x.map((_, axis) => axis);

/** Returns `x` with other sizes along `axes`; `sizeOf` gets the dimension and the index into `axes`. */
function along(x: Shape, axes: readonly number[], sizeOf: (dim: Dim, index: number) => Dim): Shape {
  const counted = axes.map((axis) => fromStart(axis, x.length));
  return x.map((dim, axis) => {
    const index = counted.indexOf(axis);
    return index < 0 ? dim : sizeOf(dim, index);
  });
}
