/** A model's inputs, from files or at random. */
import { readFileBytes } from '../files/read.js';
import { decodeNpy } from '../files/npy.js';
import { castTensor } from '../half.js';
import { suggestion } from '../nearest.js';
import { describeInput, unknownInputs } from '../runtime/feeds.js';
import type { TensorInfo, TensorRecord } from '../runtime/index.js';
import { formatShape, isFloatDType, type Shape, type TensorData } from '../tensor.js';
import type { Progress } from './progress.js';
import { randomTensor } from './random-input.js';
import { describeNotFinite } from './run-outputs.js';
import { UsageError } from './usage-error.js';

export interface InputRequest {
  /** A file or `random` by the input's name. */
  readonly input?: ReadonlyMap<string, string>;
  /** Sizes of random inputs by the dimension's name. */
  readonly dim?: ReadonlyMap<string, number>;
  readonly seed: number;
}

/** What a session is fed, and what was done to it that the user should know. */
export interface LoadedInputs {
  readonly feeds: TensorRecord;
  readonly notes: readonly string[];
}

/** @throws UsageError, or FileError if a file cannot be read. Shapes are the session's to check. */
export async function loadInputs(
  infos: readonly TensorInfo[],
  request: InputRequest,
  progress?: Progress,
): Promise<LoadedInputs> {
  const {
    input: sources = new Map<string, string>(),
    dim: sizes = new Map<string, number>(),
    seed,
  } = request;
  requireNames(infos, sources);
  const random = infos.filter(({ name }) => sources.get(name) === 'random').map(withShape);
  requireSizes(random, sizes, sources);
  const notes: string[] = [];
  const feeds: Record<string, TensorData> = {};
  for (const info of infos) {
    const source = sources.get(info.name)!;
    const shaped = random.find(({ name }) => name === info.name);
    if (shaped) {
      feeds[info.name] = await randomTensor(info, boundShape(shaped, sizes), seed, progress);
    } else {
      progress?.step(`reading ${source}`);
      const value = decodeNpy(await readFileBytes(source), source);
      const notFinite = describeNotFinite(value);
      if (notFinite) notes.push(`input ${info.name}: ${notFinite}`);
      feeds[info.name] = convert(info, source, value, notes);
    }
  }
  return { feeds, notes };
}

function requireNames(infos: readonly TensorInfo[], sources: ReadonlyMap<string, string>): void {
  const names = infos.map(({ name }) => name);
  const unknown = unknownInputs(infos, sources.keys());
  const missing = names
    .filter((name) => !sources.has(name))
    .map((name) => `input '${name}' is missing: add --input ${name}=FILE.npy or --input ${name}=random`);
  const problems = [...unknown, ...missing];
  if (problems.length === 0) return;
  const all = infos.map((info) => `  ${describeInput(info)}`);
  throw new UsageError([...problems, "The model's inputs:", ...all].join('\n'));
}

/** An input whose rank is known: `--dim` gives sizes for names, and there must be some. */
interface ShapedInput extends TensorInfo {
  readonly shape: Shape;
}

function withShape(info: TensorInfo): ShapedInput {
  const { name, shape } = info;
  if (shape) return { ...info, shape };
  throw new UsageError(
    `input '${name}' is of any rank: the model gives random numbers no shape; give it a file, --input ${name}=FILE.npy`,
  );
}

/** Every name bound, and no size for a name that there is not. */
function requireSizes(
  random: readonly ShapedInput[],
  sizes: ReadonlyMap<string, number>,
  sources: ReadonlyMap<string, string>,
): void {
  const names = new Set(random.flatMap(dimNames).filter((name) => name !== undefined));
  const unbound = [...names].filter((name) => !sizes.has(name));
  const odd = [...sizes.keys()].find((name) => !names.has(name));
  // First, for a mistyped name leaves the right one without a size.
  if (odd !== undefined) {
    const allowed = names.size === 0 ? describeNone(random, sources) : `names: ${[...names].join(', ')}`;
    throw new UsageError(
      `--dim ${odd}: no dimension of a random input has this name${suggestion(odd, names)}; ${allowed}`,
    );
  }
  if (unbound.length === 0) return;
  const shapes = random.map(({ name, shape }) => `'${name}' ${formatShape(shape)}`).join(', ');
  throw new UsageError(
    `random input ${shapes}: no size for ${unbound.join(', ')}; add --dim ${unbound.map((name) => `${name}=SIZE`).join(',')}`,
  );
}

/** Why there is no size to give: perhaps 'random' is mistyped. */
function describeNone(random: readonly ShapedInput[], sources: ReadonlyMap<string, string>): string {
  if (random.length > 0) return 'there are none to give';
  const given = [...sources].map(([name, source]) => `${name}=${source}`);
  return `no input is random, but: ${given.join(', ')}`;
}

/** The name that `--dim` knows each dimension by: its own, or where the model gives it none, `x.0`. */
const dimNames = ({ name, shape }: ShapedInput): (string | undefined)[] =>
  shape.map((dim, axis) => (typeof dim === 'number' ? undefined : dim || `${name}.${axis}`));

/** The sizes of a random input: the model's own, and for its names those of `--dim`. */
function boundShape(info: ShapedInput, sizes: ReadonlyMap<string, number>): number[] {
  const names = dimNames(info);
  return info.shape.map((dim, axis) => (typeof dim === 'number' ? dim : sizes.get(names[axis]!)!));
}

/** Floats become the input's float; nothing else is converted without being asked. */
function convert({ name, dtype }: TensorInfo, file: string, value: TensorData, notes: string[]): TensorData {
  if (value.dtype === dtype) return value;
  if (!isFloatDType(value.dtype) || !isFloatDType(dtype)) {
    throw new UsageError(
      `${file} is ${value.dtype}, but input '${name}' is ${dtype}; convert it, in NumPy: x.astype('${dtype}')`,
    );
  }
  notes.push(`input ${name}: ${file} converted from ${value.dtype} to ${dtype}`);
  return castTensor(value, dtype);
}
