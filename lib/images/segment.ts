/** An image through a network that gives every pixel a class. */
import { ModelError, OptionError, SessionError } from '../errors.js';
import { castTensor } from '../half.js';
import type { Session, TensorInfo } from '../runtime/common.js';
import { describeInput } from '../runtime/feeds.js';
import { formatShape, isFloatDType, type FloatDType, type TensorData } from '../tensor.js';
import { requireImage, type Image } from './image.js';
import { maskOf, type Mask } from './mask.js';
import { crop, imageToTensor, padTo } from './tensor.js';

/** What {@link segment} finds. */
export interface Segmentation {
  /** The class of every pixel of the image. */
  readonly mask: Mask;
  /** (1, classes, H, W) of the image's own size. */
  readonly logits: TensorData;
  /** Height and width that the network was given. */
  readonly paddedTo: readonly [number, number];
}

/**
 * What H and W are made a multiple of, one after the other, until the network can run: no model says what it
 * needs. A U-Net with four poolings needs 16, many backbones 32.
 */
const MULTIPLES = [1, 16, 32];

/**
 * Runs a model of one float input (N, 1 or 3, H, W) and one output (N, classes, H, W) on an image, whose samples
 * become 0 to 1. If the network cannot take an image of this size, it gets one that is lengthened by reflection,
 * and its output is cut back.
 * @throws ModelError `MODEL_UNSUPPORTED` if the model is of another shape; SessionError if the runtime fails;
 *   ImageError `MASK_UNDEFINED`, `IMAGE_INVALID` if the image is none;
 *   OptionError `INVALID_OPTION` if the session is.
 */
export async function segment(session: Session, image: Image): Promise<Segmentation> {
  if (!Array.isArray((session as Session | undefined | null)?.inputs)) {
    throw new OptionError('INVALID_OPTION', 'segment: its first argument must be what createSession returns');
  }
  requireImage('segment', image);
  const { name, dtype, channels } = imageInput(session, image);
  const x = castTensor(imageToTensor(image, channels), dtype);
  let problem: unknown;
  for (const [height, width] of sizesToTry(image)) {
    try {
      const [y] = Object.values(await session.run({ [name]: padTo(x, height, width) }));
      requireClasses(y!, height, width);
      const logits = crop(y!, image.height, image.width);
      return { mask: maskOf(logits), logits, paddedTo: [height, width] };
    } catch (error) {
      if (!dependsOnSize(error)) throw error;
      problem ??= error;
    }
  }
  throw problem;
}

/** Each once, the image's own size first. */
function sizesToTry({ height, width }: Image): [height: number, width: number][] {
  const sizes = MULTIPLES.map((multiple): [number, number] => [
    Math.ceil(height / multiple) * multiple,
    Math.ceil(width / multiple) * multiple,
  ]);
  return sizes.filter(([h, w], i) => i === 0 || h !== sizes[i - 1]![0] || w !== sizes[i - 1]![1]);
}

/** The runtime's failure, or an output that is not as large as the input: both may be due to sizes that do not halve. */
const dependsOnSize = (error: unknown): boolean =>
  (error instanceof SessionError && error.code === 'RUN_FAILED') || error instanceof ModelError;

function requireClasses({ dtype, dims }: TensorData, height: number, width: number): void {
  if (isFloatDType(dtype) && dims.length === 4 && dims[1] !== 0 && dims[2] === height && dims[3] === width)
    return;
  throw unsupported(`for ${height} × ${width} pixels its output is ${dtype} ${formatShape(dims)}`);
}

function imageInput({ inputs, outputs }: Session, image: Image) {
  const [input] = inputs;
  if (inputs.length !== 1 || outputs.length !== 1 || !takesImage(input!)) {
    const list = (infos: readonly TensorInfo[]) => infos.map(describeInput).join(', ');
    throw unsupported(`it has inputs ${list(inputs)} and outputs ${list(outputs)}`);
  }
  const { name, dtype, shape } = input!;
  // A name in place of the number of channels allows any, as does no shape.
  const channels = typeof shape?.[1] === 'number' ? (shape[1] as 1 | 3) : image.channels;
  return { name, dtype: dtype as FloatDType, channels };
}

const takesImage = ({ dtype, shape }: TensorInfo): boolean =>
  isFloatDType(dtype) &&
  (!shape || (shape.length === 4 && (typeof shape[1] !== 'number' || [1, 3].includes(shape[1]))));

const unsupported = (what: string): ModelError =>
  new ModelError(
    'MODEL_UNSUPPORTED',
    `the model is none that segments images: ${what}; needed: one float input [N, 1 or 3, H, W] and one float ` +
      'output [N, classes, H, W]',
  );
