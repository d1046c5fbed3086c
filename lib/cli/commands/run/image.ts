/** `run --image --mask`: segments an image with a model that finds the class of each pixel. */
import { InvalidArgumentError } from 'commander';
import { writeFileAtomic } from '../../../files/atomic.js';
import type { RangedFile } from '../../../files/ranged.js';
import { readFileBytes, readStart } from '../../../files/read.js';
import type { Image } from '../../../images/image.js';
import { type Mask, maskToImage } from '../../../images/mask.js';
import { decodePng, encodePng, requirePngSignature, SIGNATURE } from '../../../images/png.js';
import type { Size } from '../../../images/resample.js';
import { segment, type Segmentation } from '../../../images/segment.js';
import { IMAGENET } from '../../../images/to-tensor.js';
import { printable } from '../../../printable.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import { withProgress } from '../../shared/progress.js';
import { formatTable, indent } from '../../shared/table.js';
import { colorsOf, type Io, print, UsageError } from '../../shared/terminal.js';
import { describeRun, openSession, runRepeatedly, type SessionRequest } from './session.js';

export interface ImageRequest {
  /** Path of the PNG to segment. */
  readonly image?: string;
  /** Path of the PNG to write. */
  readonly mask?: string;
  /** The output that has the scores or classes. */
  readonly scores?: string;
  readonly threshold?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

/** Returns whether the options ask for an image and not for tensors. */
export const isImageRequest = (options: ImageRequest): boolean =>
  (['image', 'mask', 'scores', 'threshold', 'mean', 'std'] as const).some(
    (name) => options[name] !== undefined,
  );

/**
 * Parses `--mean` and `--std`: a number, numbers with commas between them, or `imagenet`.
 * @throws InvalidArgumentError
 */
export const parseChannels =
  (name: 'mean' | 'std') =>
  (text: string): readonly number[] =>
    text === 'imagenet' ? IMAGENET[name] : parseChannel(name, text);

function parseChannel(name: 'mean' | 'std', text: string): readonly number[] {
  const parts = text.split(',').map((part) => part.trim());
  const values = parts.map(Number);
  const isRight = (value: number) => Number.isFinite(value) && (name === 'mean' || value > 0);
  if ([1, 3].includes(values.length) && values.every(isRight) && !parts.includes('')) return values;
  const numbers = name === 'mean' ? 'numbers' : 'numbers above 0';
  throw new InvalidArgumentError(
    `It must be one or three ${numbers}, such as 0.5 or 0.5,0.4,0.6, or imagenet.`,
  );
}

interface ImageOptions extends SessionRequest, ImageRequest {
  readonly input?: unknown;
  readonly random?: unknown;
  readonly dim?: unknown;
  readonly output?: unknown;
}

/**
 * Runs the model on the image, writes the mask and prints the share of each class.
 * @throws UsageError, FileError, ImageError, ModelError or SessionError, and then writes no mask.
 */
export async function runImage(path: string, options: ImageOptions, io: Io): Promise<void> {
  const { image: file, mask: target } = requireBoth(options);
  await refuseOverwritingInputs(
    [['--mask', target]],
    [
      ['the file of --image', file],
      ['the model', path],
    ],
  );
  const lines = await withProgress(io.stderr, async (progress) => {
    progress.step(`reading ${file}`);
    const image = decodePng(await readFileBytes(file, checkPng), file, {
      limits: options.limit,
      warn: (warning) => progress.say(`${colorsOf(io.stderr).yellow('warning:')} ${warning}`),
    });
    await using session = await openSession(path, options, progress);
    const { scores: output, threshold, mean, std } = options;
    const { result, times } = await runRepeatedly(session, options.repeat, progress, () =>
      segment(session, image, { output, threshold, mean, std }),
    );
    await writeFileAtomic(target, encodePng(maskToImage(result.mask)));
    return [
      ...describeRun(path, session, times),
      ...describeImage(file, image, result, session.outputs.length),
    ];
  });
  print(io.stdout, ...lines, '', `Wrote ${target}`);
}

function requireBoth({ image, mask, input, random, dim, output }: ImageOptions): {
  image: string;
  mask: string;
} {
  if (image === undefined) {
    throw new UsageError(
      `${mask === undefined ? '--scores, --threshold, --mean and --std need' : '--mask needs'} --image; add --image IN.png`,
    );
  }
  if (mask === undefined) throw new UsageError('--image needs --mask; add --mask OUT.png');
  if ([input, random, dim, output].some((option) => option !== undefined)) {
    throw new UsageError(
      '--image and --mask replace --input, --random, --dim and --output; leave these out (--scores names an output of the model)',
    );
  }
  return { image, mask };
}

function describeImage(file: string, image: Image, result: Segmentation, outputCount: number): string[] {
  const { mask, output, threshold, scaledTo, paddedTo } = result;
  const { width, height, channels } = image;
  const isSize = (size: Size, other: Size) => size[0] === other[0] && size[1] === other[1];
  const name = ([rows, columns]: Size) => `${columns} × ${rows}`;
  return [
    `  ${file}: ${width} × ${height} pixels, ${channels === 1 ? 'grey' : 'RGB'}`,
    ...(isSize(scaledTo, [height, width])
      ? []
      : [`  scaled to ${name(scaledTo)}, the size that the model takes`]),
    ...(isSize(paddedTo, scaledTo)
      ? []
      : [`  reflected at its edges to ${name(paddedTo)}, a size that the model takes`]),
    ...(outputCount === 1 ? [] : [`  scores or classes by the output ${printable(output)}`]),
    ...(threshold === undefined
      ? []
      : [`  one score for each pixel: class 1 where it is above ${threshold} (--threshold sets another)`]),
    '',
    indent(formatTable(classRows(mask), ['class', 'pixels', 'share'], ['right', 'right', 'right'])),
  ];
}

/** Returns a row for each class that the mask contains. */
function classRows({ classes, numClasses }: Mask): string[][] {
  const counts = new Array<number>(numClasses).fill(0);
  for (const index of classes) counts[index]! += 1;
  return counts.flatMap((count, index) =>
    count === 0 ? [] : [[String(index), String(count), `${((100 * count) / classes.length).toFixed(1)} %`]],
  );
}

/** Refuses a file of another kind before it is read whole. */
async function checkPng(file: RangedFile): Promise<void> {
  requirePngSignature(await readStart(file, SIGNATURE.length), file.path);
}
