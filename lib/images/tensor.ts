/** Images as a network takes them: (1, C, H, W), 0 to 1. */
import { allocate, elementCount, tensor, type TensorData } from '../tensor.js';
import type { Image } from './image.js';

/**
 * The image as float32 (1, channels, H, W) from 0 to 1: sample / max, as `torchvision`'s `ToTensor`. Grey becomes
 * RGB by repetition, RGB grey by ITU-R 601's luma, as Pillow's `convert('L')` but not rounded.
 */
export function imageToTensor(image: Image, channels: 1 | 3): TensorData {
  const { width, height, channels: has, samples, max } = image;
  const plane = width * height;
  const data = new Float32Array(channels * plane);
  for (let pixel = 0; pixel < plane; pixel++) {
    for (let c = 0; c < channels; c++) {
      const sample =
        has > channels ? luma(samples, pixel * has) : samples[pixel * has + (has === 1 ? 0 : c)]!;
      data[c * plane + pixel] = sample / max;
    }
  }
  return tensor('float32', [1, channels, height, width], data);
}

const luma = (samples: ArrayLike<number>, at: number): number =>
  (299 * samples[at]! + 587 * samples[at + 1]! + 114 * samples[at + 2]!) / 1000;

/**
 * (1, C, H, W) lengthened at the bottom and at the right, by reflection as `torch.nn.functional.pad(mode='reflect')`;
 * back and forth where the image is too small for one reflection.
 */
export function padTo(x: TensorData, toHeight: number, toWidth: number): TensorData {
  const [height, width] = x.dims.slice(2) as [number, number];
  if (toHeight === height && toWidth === width) return x;
  const [rows, columns] = [reflect(height, toHeight), reflect(width, toWidth)];
  const dims = [...x.dims.slice(0, 2), rows.length, columns.length];
  const data = allocate(x.dtype, elementCount(dims));
  let at = 0;
  for (let start = 0; start < x.data.length; start += height * width) {
    for (const row of rows) {
      for (const column of columns) data[at++] = x.data[start + row * width + column]!;
    }
  }
  return tensor(x.dtype, dims, data);
}

/** For every index below `length`, the index below `size` that it is a reflection of. */
function reflect(size: number, length: number): number[] {
  const period = Math.max(1, 2 * (size - 1));
  return Array.from({ length }, (_, i) => Math.min(i % period, period - (i % period)));
}

/** The top left H × W of (1, C, *, *). */
export function crop(y: TensorData, height: number, width: number): TensorData {
  const [rows, columns] = y.dims.slice(2) as [number, number];
  if (rows === height && columns === width) return y;
  const dims = [...y.dims.slice(0, 2), height, width];
  const data = allocate(y.dtype, elementCount(dims)) as Float32Array;
  let at = 0;
  for (let start = 0; start < y.data.length; start += rows * columns) {
    for (let row = 0; row < height; row++, at += width) {
      const from = start + row * columns;
      data.set(y.data.subarray(from, from + width) as Float32Array, at);
    }
  }
  return tensor(y.dtype, dims, data);
}
