/** `run --image --mask`: a model that gives every pixel of an image a class. */
import { writeFileAtomic } from '../../files/atomic.js';
import { readFileBytes } from '../../files/read.js';
import type { Image } from '../../images/image.js';
import { type Mask, maskToImage } from '../../images/mask.js';
import { decodePng, encodePng } from '../../images/png.js';
import { segment, type Segmentation } from '../../images/segment.js';
import type { SessionLoweringName } from '../../lowering/types.js';
import { requireProviders, type Session } from '../../runtime/core/contract.js';
import { createSession } from '../../runtime/node.js';
import { parseNames } from '../shared/options.js';
import { requireInputsKept } from '../shared/overwrite-guard.js';
import { withProgress } from '../shared/progress.js';
import { formatTable, indent } from '../shared/table.js';
import { type Io, print, UsageError } from '../shared/terminal.js';
import {
  describeExecution,
  describeFallbacks,
  describeTimes,
  runRepeatedly,
  type TimedResult,
} from './run-report.js';

export interface ImageRequest {
  /** A PNG to segment. */
  readonly image?: string;
  /** Where its mask goes. */
  readonly mask?: string;
}

interface ImageOptions extends ImageRequest {
  readonly input?: unknown;
  readonly dim?: unknown;
  readonly output?: unknown;
  readonly repeat: number;
  readonly provider: string;
  readonly groupNorm?: SessionLoweringName;
}

/** Whether the command line is about an image. */
export const isImageRequest = ({ image, mask }: ImageRequest): boolean =>
  image !== undefined || mask !== undefined;

/**
 * Runs the model on the image, writes the mask and says what it shows.
 * @throws UsageError, FileError, ImageError, ModelError or SessionError; then no mask is written.
 */
export async function runImage(path: string, options: ImageOptions, io: Io): Promise<void> {
  const { image: file, mask: target } = requireBoth(options);
  await requireInputsKept(
    [['--mask', target]],
    [
      ['the file of --image', file],
      ['the model', path],
    ],
  );
  const lines = await withProgress(io.stderr, async (progress) => {
    progress.step(`reading ${file}`);
    const image = decodePng(await readFileBytes(file), file);
    progress.step(`loading ${path}`);
    const session = await createSession(path, {
      providers: requireProviders(parseNames(options.provider)),
      groupNorm: options.groupNorm,
    });
    try {
      const run = await runRepeatedly(session, options.repeat, progress, () => segment(session, image));
      await writeFileAtomic(target, encodePng(maskToImage(run.result.mask)));
      return [...describeRun(path, session, run), ...describeImage(file, image, run.result)];
    } finally {
      await session.dispose();
    }
  });
  print(io.stdout, ...lines, '', `Wrote ${target}`);
}

function requireBoth({ image, mask, input, dim, output }: ImageOptions): Required<ImageRequest> {
  if (image === undefined || mask === undefined) {
    throw new UsageError('--image IN.png and --mask OUT.png belong together: give both');
  }
  if (input !== undefined || dim !== undefined || output !== undefined) {
    throw new UsageError(
      '--image gives the input and --mask the output: leave out --input, --dim and --output',
    );
  }
  return { image, mask };
}

function describeRun(path: string, session: Session, { times }: TimedResult<Segmentation>): string[] {
  return [
    `${path} on ${describeExecution(session)}: ${describeTimes(times)}`,
    ...describeFallbacks(session).map((note) => `  ${note}`),
  ];
}

function describeImage(file: string, image: Image, { mask, paddedTo }: Segmentation): string[] {
  const { width, height, channels } = image;
  const [paddedHeight, paddedWidth] = paddedTo;
  const padded = paddedHeight !== height || paddedWidth !== width;
  return [
    `  ${file}: ${width} × ${height} pixels, ${channels === 1 ? 'grey' : 'RGB'}`,
    ...(padded
      ? [`  reflected at its edges to ${paddedWidth} × ${paddedHeight}, which the model can take`]
      : []),
    '',
    indent(formatTable(classRows(mask), ['class', 'pixels', 'share'], ['right', 'right', 'right'])),
  ];
}

/** Every class that there is in the mask. */
function classRows({ classes, numClasses }: Mask): string[][] {
  const counts = new Array<number>(numClasses).fill(0);
  for (const index of classes) counts[index]! += 1;
  return counts.flatMap((count, index) =>
    count === 0 ? [] : [[String(index), String(count), `${((100 * count) / classes.length).toFixed(1)} %`]],
  );
}
