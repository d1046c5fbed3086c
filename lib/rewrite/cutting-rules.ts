/**
 * Shapes behind operators that cut, fill up, repeat and resize: exact where what they are told is constant, and
 * otherwise of the axes that they leave alone. Sources: ONNX operator pages of the same names.
 */
import { UNKNOWN_DIM } from '../onnx/index.js';
import { fromStart, type Dim, type Shape } from '../tensor.js';
import { shaped, type Rule } from './type-rule.js';

const isNumber = (dim: Dim | undefined): dim is number => typeof dim === 'number';

const unknown = (shape: Shape): Shape => shape.map(() => UNKNOWN_DIM);

/** Axes as they are counted from the start; nothing if one is not known. */
function axesIn(axes: Shape | undefined, rank: number): number[] | undefined {
  if (!axes?.every(isNumber)) return undefined;
  return axes.map((axis) => fromStart(axis, rank));
}

/** `shape` with other sizes along some axes. */
function withSizes(shape: Shape, axes: readonly number[], sizeAt: (dim: Dim, index: number) => Dim): Shape {
  return shape.map((dim, axis) => {
    const index = axes.indexOf(axis);
    return index < 0 ? dim : sizeAt(dim, index);
  });
}

/** No array is as long: an end from here on is the axis's own. */
const FAR = 2 ** 31 - 1;

/** How many elements of `dim` a cut leaves. Backwards, ONNX Runtime and numpy do not agree on all of them. */
function cutSize(dim: Dim, start?: Dim, end?: Dim, step: Dim | undefined = 1): Dim {
  if (!isNumber(start) || !isNumber(end) || !isNumber(step) || step < 1) return UNKNOWN_DIM;
  if (start === 0 && end >= FAR && step === 1) return dim;
  if (!isNumber(dim)) return UNKNOWN_DIM;
  const within = (index: number) => Math.min(Math.max(index < 0 ? index + dim : index, 0), dim);
  return Math.max(0, Math.ceil((within(end) - within(start)) / step));
}

export const slice: Rule = shaped((shape, node, types) => {
  const [starts, ends, steps] = [1, 2, 4].map((at) => types.sizes(node.inputs[at]));
  const axes = node.inputs[3]
    ? axesIn(types.sizes(node.inputs[3]), shape.length)
    : starts?.map((_, axis) => axis);
  if (!axes || !starts || !ends || (node.inputs[4] && !steps)) return unknown(shape);
  return withSizes(shape, axes, (dim, i) => cutSize(dim, starts[i], ends[i], steps?.[i]));
});

/** All results are of one type here: the sizes are known if they are equal. */
export const split: Rule = shaped((shape, node, types) => {
  const along = fromStart(node.number('axis') ?? 0, shape.length);
  const sizes = node.inputs[1] ? types.sizes(node.inputs[1]) : undefined;
  return withSizes(shape, [along], (dim) => {
    if (node.inputs[1])
      return sizes?.every((size) => size === sizes[0]) ? (sizes[0] ?? UNKNOWN_DIM) : UNKNOWN_DIM;
    const count = node.outputs.length;
    return isNumber(dim) && dim % count === 0 ? dim / count : UNKNOWN_DIM;
  });
});

export const pad: Rule = shaped((shape, node, types) => {
  const pads = types.sizes(node.inputs[1]);
  const axes = node.inputs[3]
    ? axesIn(types.sizes(node.inputs[3]), shape.length)
    : shape.map((_, axis) => axis);
  if (!axes || pads?.length !== 2 * axes.length) return unknown(shape);
  return withSizes(shape, axes, (dim, i) => {
    const [before, after] = [pads[i]!, pads[i + axes.length]!];
    if (before === 0 && after === 0) return dim;
    return isNumber(dim) && isNumber(before) && isNumber(after) ? dim + before + after : UNKNOWN_DIM;
  });
});

export const resize: Rule = shaped((shape, node, types) => {
  const axes = axesIn(node.numbers('axes'), shape.length) ?? shape.map((_, axis) => axis);
  const [scales, sizes] = [2, 3].map((at) => types.sizes(node.inputs[at]));
  // Of its values one is the default, and makes the sizes what they are asked to be.
  const fitsExactly = (node.text('keep_aspect_ratio_policy') ?? 'stretch') === 'stretch';
  return withSizes(shape, axes, (dim, i) => {
    if (sizes?.length === axes.length) return fitsExactly ? sizes[i]! : UNKNOWN_DIM;
    const scale = scales?.length === axes.length ? scales[i] : undefined;
    if (scale === 1) return dim;
    return isNumber(dim) && isNumber(scale) ? Math.floor(Math.fround(dim * scale)) : UNKNOWN_DIM;
  });
});

export const tile: Rule = shaped((shape, node, types) => {
  const repeats = types.sizes(node.inputs[1]);
  if (repeats?.length !== shape.length) return unknown(shape);
  return shape.map((dim, axis) => {
    const times = repeats[axis];
    if (times === 1) return dim;
    return isNumber(dim) && isNumber(times) ? dim * times : UNKNOWN_DIM;
  });
});

/** (N, C, H, W) with each `blocksize`² channels as a block of pixels. */
export const depthToSpace: Rule = shaped((shape, node) => {
  const size = node.number('blocksize') ?? 0;
  const [batch, channels, ...image] = shape;
  if (image.length !== 2) return unknown(shape);
  return [
    batch!,
    divided(channels!, size ** 2),
    ...image.map((dim) => (isNumber(dim) ? dim * size : UNKNOWN_DIM)),
  ];
});

/** The other way round. */
export const spaceToDepth: Rule = shaped((shape, node) => {
  const size = node.number('blocksize') ?? 0;
  const [batch, channels, ...image] = shape;
  if (image.length !== 2) return unknown(shape);
  const deeper = isNumber(channels) ? channels * size ** 2 : UNKNOWN_DIM;
  return [batch!, deeper, ...image.map((dim) => divided(dim, size))];
});

const divided = (dim: Dim, by: number): Dim => (isNumber(dim) && dim % by === 0 ? dim / by : UNKNOWN_DIM);
