/** Changes the size of (..., H, W): pads by reflection, cuts, and scales. And the place of the channels. */
import { allocate, type ElementArray, elementCount, tensor, type TensorData } from '../tensor.js';

/** A height and a width. */
export type Size = readonly [height: number, width: number];

/** Returns the height and the width of (..., H, W). */
export const sizeOf = ({ dims }: TensorData): Size => dims.slice(-2) as [number, number];

/** Returns (..., H, W) with the elements of each row and column that the lists name. */
function pick(x: TensorData, rows: readonly number[], columns: readonly number[]): TensorData {
  const [height, width] = sizeOf(x);
  const dims = [...x.dims.slice(0, -2), rows.length, columns.length];
  const data = allocate(x.dtype, elementCount(dims));
  let at = 0;
  for (let start = 0; start < x.data.length; start += height * width) {
    for (const row of rows) {
      for (const column of columns) data[at++] = x.data[start + row * width + column]!;
    }
  }
  return tensor(x.dtype, dims, data);
}

/**
 * Pads (..., H, W) at the bottom and at the right by reflection, as `torch.nn.functional.pad(mode='reflect')`;
 * reflects repeatedly if the image is too small for one reflection.
 */
export function padTo(x: TensorData, toHeight: number, toWidth: number): TensorData {
  const [height, width] = sizeOf(x);
  if (toHeight === height && toWidth === width) return x;
  return pick(x, reflect(height, toHeight), reflect(width, toWidth));
}

/** Returns, for every index below `length`, the index below `size` that it reflects. */
function reflect(size: number, length: number): number[] {
  const period = Math.max(1, 2 * (size - 1));
  return Array.from({ length }, (_, i) => Math.min(i % period, period - (i % period)));
}

/** Cuts (..., *, *) to the top left H × W. */
export function crop(y: TensorData, height: number, width: number): TensorData {
  const [rows, columns] = sizeOf(y);
  if (rows === height && columns === width) return y;
  return pick(y, [...Array(height).keys()], [...Array(width).keys()]);
}

/** Scales (..., H, W) of any dtype: each element becomes that whose centre is nearest. */
export function scaleNearest(x: TensorData, [toHeight, toWidth]: Size): TensorData {
  const [height, width] = sizeOf(x);
  if (toHeight === height && toWidth === width) return x;
  const nearest = (size: number, length: number) =>
    Array.from({ length }, (_, i) => Math.floor(((i + 0.5) * size) / length));
  return pick(x, nearest(height, toHeight), nearest(width, toWidth));
}

/**
 * Scales (..., H, W) of float32 bilinearly, as `torch.nn.functional.interpolate(mode='bilinear', antialias=True)` and
 * Pillow's `BILINEAR` do: smaller sizes are means over as many elements as each result stands for.
 */
export function scaleBilinear(x: TensorData<'float32'>, [toHeight, toWidth]: Size): TensorData<'float32'> {
  const [height, width] = sizeOf(x);
  if (toHeight === height && toWidth === width) return x;
  const [rows, columns] = [weightsOf(height, toHeight), weightsOf(width, toWidth)];
  const dims = [...x.dims.slice(0, -2), toHeight, toWidth];
  const planes = elementCount(x.dims.slice(0, -2));
  const data = new Float32Array(elementCount(dims));
  const wide = new Float64Array(height * toWidth);
  for (let plane = 0; plane < planes; plane++) {
    for (let row = 0; row < height; row++) {
      const start = (plane * height + row) * width;
      for (let to = 0; to < toWidth; to++) {
        const { first, weights } = columns[to]!;
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i]! * x.data[start + first + i]!;
        wide[row * toWidth + to] = sum;
      }
    }
    for (let to = 0; to < toHeight; to++) {
      const { first, weights } = rows[to]!;
      for (let column = 0; column < toWidth; column++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i]! * wide[(first + i) * toWidth + column]!;
        data[(plane * toHeight + to) * toWidth + column] = sum;
      }
    }
  }
  return tensor('float32', dims, data);
}

/** The elements that one element of the result is a mean of. */
interface Window {
  readonly first: number;
  /** Their sum is 1. */
  readonly weights: readonly number[];
}

/** Returns triangles around the centre of each element of the result, as wide as it on the scale of the source. */
function weightsOf(size: number, length: number): Window[] {
  const scale = size / length;
  const support = Math.max(scale, 1);
  return Array.from({ length }, (_, to) => {
    const centre = (to + 0.5) * scale;
    const first = Math.max(0, Math.ceil(centre - support - 0.5));
    const last = Math.min(size - 1, Math.floor(centre + support - 0.5));
    const heights = Array.from({ length: last - first + 1 }, (_, i) =>
      Math.max(0, 1 - Math.abs(first + i + 0.5 - centre) / support),
    );
    const sum = heights.reduce((total, height) => total + height, 0);
    return { first, weights: heights.map((height) => height / sum) };
  });
}

/** Makes (C, H, W) out of (H, W, C). */
export function toChannelsFirst<Value extends TensorData>(x: Value): Value {
  const [height, width, channels] = x.dims as [number, number, number];
  return { ...x, dims: [channels, height, width], data: transpose(x.data, height * width, channels) };
}

/** Makes (H, W, C) out of (C, H, W). */
export function toChannelsLast<Value extends TensorData>(x: Value): Value {
  const [channels, height, width] = x.dims as [number, number, number];
  return { ...x, dims: [height, width, channels], data: transpose(x.data, channels, height * width) };
}

/** Makes columns of rows. */
function transpose(data: ElementArray, rows: number, columns: number): ElementArray {
  const result = data.slice();
  for (let i = 0; i < result.length; i++) {
    result[i] = data[(i % rows) * columns + Math.floor(i / rows)]!;
  }
  return result;
}
