/** Reads a network's output for each pixel: scores of classes or class indices, channels first or last, of any size. */
import { castTensor, toFloat64Array } from '../half.js';
import { stack } from '../tensor-functions.js';
import { isFloatDType, tensor, type TensorData } from '../tensor.js';
import { scaleBilinear, scaleNearest, type Size, sizeOf, toChannelsFirst } from './resample.js';

/**
 * Returns an output as (1, classes, h, w), or (1, 1, h, w) for a single score or a class index per pixel; `undefined` if
 * its sizes are not those of the input, or a fraction of them.
 * @param size The height and width of the network's input.
 * @param channelsLast The layout of the network's input; decides if the output fits both layouts.
 */
export function readScores(output: TensorData, size: Size, channelsLast: boolean): TensorData | undefined {
  const { dtype, dims, data } = output;
  if (data.length === 0) return undefined;
  if (dims.length === 2 || (dims.length === 3 && dims[0] === 1)) {
    const planes = tensor(dtype, [1, 1, ...dims.slice(-2)], data);
    return isFraction(sizeOf(planes), size) ? planes : undefined;
  }
  if (dims.length !== 4 || dims[0] !== 1) return undefined;
  const [, a, b, c] = dims as [number, number, number, number];
  // The layout of the input comes first. For the other layout rounding would fit too much.
  const isFirst = isFraction([b, c], size, channelsLast);
  const isLast = isFraction([a, b], size, !channelsLast);
  if (isFirst && !(isLast && channelsLast)) return output;
  return isLast ? stack([toChannelsFirst(tensor(dtype, [a, b, c], data))]) : undefined;
}

/** The networks' strides: outputs are seldom smaller than a 32nd of the input. */
const STRIDES = Array.from({ length: 64 }, (_, i) => i + 1);

/** Returns whether a size is 1/n of another with the same n for height and width; rounded down or up, unless `exact`. */
function isFraction([height, width]: Size, [ofHeight, ofWidth]: Size, exact = false): boolean {
  const isPart = (part: number, whole: number, n: number) =>
    exact ? part * n === whole : part === Math.floor(whole / n) || part === Math.ceil(whole / n);
  return STRIDES.some((n) => isPart(height, ofHeight, n) && isPart(width, ofWidth, n));
}

/** Returns whether (1, 1, H, W) has the index of a class for each pixel, as ArgMax gives it. */
export const isClassIndices = ({ dtype, dims }: TensorData): boolean => !isFloatDType(dtype) && dims[1] === 1;

/** Scales scores bilinearly, as float32, and class indices to the nearest pixel's. */
export function scaleScores(scores: TensorData, size: Size): TensorData {
  const [height, width] = sizeOf(scores);
  if (height === size[0] && width === size[1]) return scores;
  if (isClassIndices(scores)) return scaleNearest(scores, size);
  const floats = isFloatDType(scores.dtype)
    ? castTensor(scores, 'float32')
    : tensor('float32', scores.dims, Float32Array.from(toFloat64Array(scores)));
  return scaleBilinear(floats, size);
}
