/** Makes the input of a network: random numbers, or an image. */
import {
  elementCount,
  formatShape,
  SessionError,
  stack,
  tensor,
  type TensorData,
} from '../../lib/browser.js';
import { castTensor } from '../../lib/half.js';
import type { Image } from '../../lib/images/image.js';
import { padTo } from '../../lib/images/resample.js';
import { toTensor } from '../../lib/images/to-tensor.js';
import type { TensorInfo } from '../../lib/runtime/core/contract.js';
import type { FloatDType, Shape } from '../../lib/tensor.js';
import { Random } from '../../lib/weights/initialize.js';
import type { InputSource } from '../protocol.js';
import { fetchDemoImage } from './files.js';
import { decodeImage } from './image.js';

/** The part of an input that graphs (Value) and sessions (TensorInfo) share. */
interface InputInfo extends Pick<TensorInfo, 'name' | 'dtype'> {
  /** Not optional: the page's own graphs declare a shape. */
  readonly shape: Shape;
}

/** Returns the image of a source, or `undefined` for random numbers. */
export async function imageOf(source: InputSource): Promise<Image | undefined> {
  if (source.from === 'random') return undefined;
  return decodeImage(source.from === 'demo' ? await fetchDemoImage() : source.image);
}

/** Sizes that can be halved five times fit every network of the registry. */
const MULTIPLE = 32;

/** @throws SessionError `INPUT_SHAPE` if the network takes no images, or the input would be too large. */
export function makeInput(info: InputInfo, source: InputSource, image: Image | undefined): TensorData {
  if (!image) return randomInput(info, source as Extract<InputSource, { from: 'random' }>);
  const channels = info.shape[1];
  if (info.shape.length !== 4 || (channels !== 1 && channels !== 3)) {
    throw new SessionError(
      'INPUT_SHAPE',
      `an image is [1, 1 or 3, H, W], but this network takes ${formatShape(info.shape)}: set its channels to 3, or ` +
        'run it on random numbers',
    );
  }
  const x = castTensor(toTensor(image, { channels }), info.dtype as FloatDType);
  const [height, width] = [image.height, image.width].map((side) => Math.ceil(side / MULTIPLE) * MULTIPLE);
  return stack([padTo(x, height!, width!)]);
}

/** A larger tensor would take too long. */
const MAX_ELEMENTS = 2 ** 27;

function randomInput(
  { name, dtype, shape }: InputInfo,
  { batch, size, seed }: { batch: number; size: number; seed: number },
) {
  const dims = sizes(shape, batch, size);
  const count = elementCount(dims);
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim > 0) || count > MAX_ELEMENTS) {
    throw new SessionError(
      'INPUT_SHAPE',
      `an input of ${formatShape(dims)} cannot be made: sizes are integers of at least 1, and at most ${MAX_ELEMENTS} elements`,
    );
  }
  const random = new Random(seed, name);
  const data = Float64Array.from({ length: count }, (_, i) => random.normal(i));
  return castTensor(tensor('float64', dims, data), dtype as FloatDType);
}

const sizes = (shape: Shape, batch: number, size: number): number[] =>
  shape.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? batch : size));
