/** Makes pictures and figures of outputs. */
import { elementCount, type TensorData, toFloat64Array } from '../../lib/browser.js';
import { type Image, type Mask, maskToImage, overlay, toRgba } from '../../lib/images/browser.js';
import type { Picture } from '../protocol.js';

/** How many channels of an output are shown. */
const CHANNELS = 4;

/** Returns the overlay's scale: small images are enlarged, so that the lines are fine. */
const overlayScale = ({ width, height }: Image): number => (Math.max(width, height) <= 512 ? 3 : 1);

export const picture = (title: string, image: Image): Picture => ({ title, ...toRgba(image) });

/** Makes three pictures: the image, its mask, and the mask over the image. */
export const segmentationPictures = (image: Image, mask: Mask): Picture[] => [
  picture('Input', image),
  picture('Mask', maskToImage(mask)),
  picture('Overlay', overlay(image, mask, { scale: overlayScale(image) })),
];

/**
 * Makes pictures of the first channels of the first sample: grey from each channel's smallest value (black) to its
 * largest (white). Of a volume the middle slice.
 */
export function channelPictures(name: string, output: TensorData): Picture[] {
  const { dims } = output;
  if (dims.length < 3 || elementCount(dims) === 0) return [];
  const [height, width] = dims.slice(-2) as [number, number];
  const depth = elementCount(dims.slice(2, -2));
  const values = toFloat64Array(output);
  return Array.from({ length: Math.min(CHANNELS, dims[1]!) }, (_, channel) => {
    const start = (channel * depth + Math.floor(depth / 2)) * height * width;
    const plane = values.subarray(start, start + height * width);
    return picture(`${name}, channel ${channel}`, {
      width,
      height,
      channels: 1,
      samples: toGrey(plane),
      max: 255,
    });
  });
}

function toGrey(values: Float64Array): Uint8Array {
  const { min, max } = rangeOf(values);
  const scale = max > min ? 255 / (max - min) : 0;
  return Uint8Array.from(values, (value) => (Number.isFinite(value) ? Math.round((value - min) * scale) : 0));
}

/** Returns figures that show at a glance whether a tensor makes sense. */
export function rangeOf(values: Float64Array) {
  let [min, max, sum, finite] = [Infinity, -Infinity, 0, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    finite++;
  }
  return { min, max, mean: sum / finite, notFinite: values.length - finite };
}
