/** Makes the inputs of a model: random numbers, one value, a `.npy` file, or an image. */
import {
  castTensor,
  decodeNpy,
  elementCount,
  formatShape,
  SessionError,
  stack,
  tensor,
  type TensorData,
  type TensorInfo,
} from '../../lib/browser.js';
import { filledTensor } from '../../lib/half.js';
import { IMAGENET, toTensor } from '../../lib/images/browser.js';
import type { Image } from '../../lib/images/image.js';
import { padTo } from '../../lib/images/resample.js';
import { asInput } from '../../lib/images/to-tensor.js';
import { sniff } from '../../lib/files/sniff.js';
import { dimNames } from '../../lib/runtime/core/tensors.js';
import { type DType, isFloatDType } from '../../lib/tensor.js';
import { Random } from '../../lib/weights/initialize.js';
import type { InputSource, RunPlan } from '../protocol.js';
import { decodeImage } from './image.js';
import { progress } from './progress.js';

/** The inputs of a run, and the image if one of them is an image. */
export interface Inputs {
  readonly feeds: Readonly<Record<string, TensorData>>;
  readonly image: PlacedImage | undefined;
  /** Each input in words. */
  readonly lines: readonly string[];
}

/** An image, and the part of the tensor that it takes: the rest is padding. */
export interface PlacedImage {
  readonly image: Image;
  readonly input: string;
  /** Height and width that the image was scaled to. */
  readonly scaledTo: readonly [height: number, width: number];
}

/** @throws SessionError `INPUT_*`; FileError; ImageError. The session checks the rest. */
export async function makeInputs(infos: readonly TensorInfo[], plan: RunPlan): Promise<Inputs> {
  const feeds: Record<string, TensorData> = {};
  let image: PlacedImage | undefined;
  for (const info of infos) {
    const source = plan.sources[info.name];
    if (!source) continue;
    progress(`making the input ${info.name}`);
    const made = await makeInput(info, source, plan.sizes);
    feeds[info.name] = made.value;
    image ??= made.image && { ...made.image, input: info.name };
  }
  const lines = Object.entries(feeds).map(
    ([name, { dtype, dims }]) => `${name}: ${dtype} ${formatShape(dims)}`,
  );
  return { feeds, image, lines };
}

type Made = { readonly value: TensorData; readonly image?: Omit<PlacedImage, 'input'> };

async function makeInput(info: TensorInfo, source: InputSource, sizes: RunPlan['sizes']): Promise<Made> {
  const dtype = numbersOf(info);
  if (source.from === 'random')
    return { value: randomTensor(info.name, dtype, dimsOf(info, sizes), source.seed) };
  if (source.from === 'value') return { value: filledTensor(dtype, dimsOf(info, sizes), source.value) };
  const bytes = new Uint8Array(await source.file.arrayBuffer());
  if (sniff(bytes) !== 'npy' && !/\.np[yz]$/i.test(source.file.name)) {
    const image = await decodeImage(source.file);
    return imageInput(info, dtype, image, source.scaling);
  }
  const value = decodeNpy(bytes, source.file.name);
  const isCast = value.dtype !== dtype && isFloatDType(value.dtype) && isFloatDType(dtype);
  return { value: isCast ? castTensor(value, dtype) : value };
}

function numbersOf({ name, dtype }: TensorInfo): DType {
  if (dtype !== undefined && dtype !== 'string') return dtype;
  throw new SessionError(
    'INPUT_DTYPE',
    `input '${name}' takes ${dtype === 'string' ? 'texts' : 'a value that is not a tensor'}; this page runs models on tensors of numbers`,
  );
}

/** A larger tensor would take too long. */
const MAX_ELEMENTS = 2 ** 27;

function dimsOf(info: TensorInfo, sizes: RunPlan['sizes']): number[] {
  const { name, shape } = info;
  if (!shape) {
    throw new SessionError(
      'INPUT_SHAPE',
      `the model does not say how many dimensions '${name}' has: give a .npy file`,
    );
  }
  const names = dimNames(info);
  const dims = shape.map((dim, axis) => (typeof dim === 'number' ? dim : sizes[names[axis]!]!));
  if (dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0) && elementCount(dims) <= MAX_ELEMENTS)
    return dims;
  throw new SessionError(
    'INPUT_SHAPE',
    `input '${name}' cannot be ${formatShape(dims)}: sizes are whole numbers, for at most ${MAX_ELEMENTS} elements`,
  );
}

function randomTensor(name: string, dtype: DType, dims: readonly number[], seed: number): TensorData {
  if (!isFloatDType(dtype)) {
    throw new SessionError(
      'INPUT_DTYPE',
      `input '${name}' is ${dtype}, and random numbers are floats: give a value or a .npy file`,
    );
  }
  const random = new Random(seed, name);
  const data = Float64Array.from({ length: elementCount(dims) }, (_, i) => random.normal(i));
  return castTensor(tensor('float64', dims, data), dtype);
}

/** Sizes that can be halved five times fit most networks. */
const MULTIPLE = 32;

const isChannels = (dim: unknown): dim is 1 | 3 => dim === 1 || dim === 3;

/** Scales the image where the model declares a size, and else pads it by reflection. */
function imageInput(
  { name, shape }: TensorInfo,
  dtype: DType,
  image: Image,
  scaling: 'unit' | 'imagenet',
): Made {
  const isLast = !isChannels(shape?.[1]) && isChannels(shape?.[3]);
  const [channels = image.channels, height, width] = isLast
    ? [shape[3], shape[1], shape[2]]
    : [shape?.[1], shape?.[2], shape?.[3]];
  const isTaken = (!shape || shape.length === 4) && (typeof channels !== 'number' || isChannels(channels));
  if (!isTaken || (!isFloatDType(dtype) && dtype !== 'uint8')) {
    throw new SessionError(
      'INPUT_SHAPE',
      `an image is [N, 1 or 3, H, W] or [N, H, W, 1 or 3] of floats or uint8, and input '${name}' is ${dtype} ${formatShape(shape ?? [])}: ` +
        'give a .npy file',
    );
  }
  const scaledTo = [
    typeof height === 'number' ? height : image.height,
    typeof width === 'number' ? width : image.width,
  ] as const;
  const pixels = toTensor(image, {
    size: scaledTo,
    channels: isChannels(channels) ? channels : image.channels,
    ...(scaling === 'imagenet' && dtype !== 'uint8' && IMAGENET),
  });
  const [toHeight, toWidth] = [height, width].map((dim, axis) =>
    typeof dim === 'number' ? dim : Math.ceil(scaledTo[axis]! / MULTIPLE) * MULTIPLE,
  );
  const padded = padTo(pixels, toHeight!, toWidth!);
  return { value: stack([asInput(padded, { dtype, channelsLast: isLast })]), image: { image, scaledTo } };
}
