/**
 * Shapes of the results of operators that make every dimension larger or smaller.
 * Sources: ONNX operator pages Pad, Resize and Tile.
 */
import { type Dim, fromStart, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { addDims, productDim, resizeDim } from './dims.js';

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
