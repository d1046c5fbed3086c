/** The files of weights that a model refers to, where the model itself is written to another place. */
import { realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, resolve, sep } from 'node:path';
import { type Command, Option } from 'commander';
import { FileError, ModelError } from '../../errors.js';
import { type FileToWrite, requireOneFolder, writeFilesAtomic } from '../../files/atomic.js';
import type { RangedFile } from '../../files/ranged.js';
import { openRanged, readFileBytes } from '../../files/read.js';
import { systemCode } from '../../files/system-error.js';
import { getLowering, MAX_OPSET } from '../../lowering/choose.js';
import { LOWERING_NAMES } from '../../lowering/types.js';
import { Model } from '../../onnx/model.js';
import { type ConvertedModel, convertModel, type ReplacedNorms } from '../../rewrite/convert.js';
import { RequiredOption, requireOptions } from '../shared/options.js';
import { requireInputsKept } from '../shared/overwrite-guard.js';
import { withProgress } from '../shared/progress.js';
import { formatBytes, plural } from '../shared/table.js';
import { type Cli, type Io, print, UsageError } from '../shared/terminal.js';

/** The files beside a model, and what has to be done for another that is to refer to them, too. */
export interface ModelData {
  /** Relative to the model's folder. */
  readonly locations: readonly string[];
  /** Those that are to be written with the model; none where it goes to the same folder, or that are there already. */
  readonly copies: readonly FileToWrite[];
}

/**
 * Looks at all of it before anything is written.
 * @param input Path of the model that is read.
 * @param output Path of the one that is to be written.
 * @param locations As the model has them.
 * @throws UsageError if the output, or a copy, would write over another file; FileError if a file cannot be read;
 *   ModelError `MODEL_UNSUPPORTED` if one is to be copied and lies outside of the model's folder.
 */
export async function planModelData(
  input: string,
  output: string,
  locations: Iterable<string>,
): Promise<ModelData> {
  const names = [...new Set([...locations].map((location) => normalize(location)))];
  const [from, to] = [dirname(resolve(input)), dirname(resolve(output))];
  const sources = names.map((name) => [`the weights of ${input}`, resolve(from, name)] as const);
  await requireInputsKept([['-o', output]], sources);
  if (names.length === 0) return { locations: names, copies: [] };
  await requireOneFolder(output);
  const isSame = await isSameFolder(from, to);
  if (!isSame) for (const name of names) requireWithin(name, input);
  for (const [, path] of sources) await requireReadable(path);
  if (isSame) return { locations: names, copies: [] };
  const copies: FileToWrite[] = [];
  for (const name of names) {
    const [source, target] = [join(from, name), join(to, name)];
    if (target === resolve(output)) throw overWeights(output, name);
    if (!(await isThere(source, target))) copies.push({ path: target, content: chunksOf(source) });
  }
  return { locations: names, copies };
}

/** Runtimes look for no data outside of the model's folder; nor is it written there. */
function requireWithin(name: string, input: string): void {
  if (!isAbsolute(name) && name.split(sep)[0] !== '..') return;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    `${input} keeps weights in '${name}', outside of its own folder, from where they are not copied; ` +
      `write the output into the folder of ${input}`,
  );
}

/** Two names that differ only in how they are written are one folder; one that is missing is no other's. */
async function isSameFolder(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => realpath(path).catch(() => undefined)));
  return one !== undefined && one === other;
}

async function requireReadable(path: string): Promise<void> {
  const file = await openRanged(path);
  await file.close();
}

/**
 * Whether the copy is there already.
 * @throws UsageError if something else is.
 */
async function isThere(source: string, target: string): Promise<boolean> {
  const found = await stat(target).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  });
  if (!found) return false;
  if (found.isFile() && (await haveSameBytes(source, target))) return true;
  throw new UsageError(
    `the model needs a copy of '${source}' beside it, but '${target}' is there and is another: ` +
      'name another folder with -o',
  );
}

async function haveSameBytes(...paths: readonly [string, string]): Promise<boolean> {
  const files: RangedFile[] = [];
  try {
    for (const path of paths) files.push(await openRanged(path));
    const [one, other] = files as [RangedFile, RangedFile];
    if (one.size !== other.size) return false;
    for (let at = 0; at < one.size; at += CHUNK) {
      const length = Math.min(CHUNK, one.size - at);
      const [a, b] = await Promise.all([one.read(at, length), other.read(at, length)]);
      if (Buffer.compare(a, b) !== 0) return false;
    }
    return true;
  } finally {
    for (const file of files) await file.close();
  }
}

/** Weights may be larger than the memory. */
const CHUNK = 2 ** 24;

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await openRanged(path);
  try {
    for (let at = 0; at < file.size; at += CHUNK) {
      yield await file.read(at, Math.min(CHUNK, file.size - at));
    }
  } finally {
    await file.close();
  }
}

const overWeights = (output: string, name: string): FileError =>
  new FileError(
    'FILE_UNWRITABLE',
    `cannot write '${output}': the model keeps its weights in '${name}', which is to lie there; give it another name`,
  );

/** A conversion that was written. */
export interface Conversion {
  readonly path: string;
  readonly output: string;
  readonly converted: ConvertedModel;
  readonly data: ModelData;
}

/** What was written and replaced, and what the file still needs. */
export function describeConversion({ path, output, converted, data }: Conversion): string[] {
  const { bytes, replaced } = converted;
  const written = `Wrote ${output} (${formatBytes(bytes.byteLength)})`;
  return [
    ...(isCopy(replaced)
      ? [`${written}, a copy of ${path}: nothing in it needs to be rewritten`]
      : [written]),
    ...describeReplaced(converted),
    ...(replaced.rows > 0
      ? [
          `${plural(replaced.rows, 'other normalization')} that ONNX Runtime gets wrong, written as reduce-mean`,
        ]
      : []),
    ...describeData(data),
    ...describeNeeds(converted),
  ];
}

/** The ways in which GroupNorm was found, in words. */
const KINDS: readonly (readonly [kind: keyof ReplacedNorms, words: string])[] = [
  ['groupNormalization', 'GroupNormalization'],
  ['exported', 'as PyTorch exports it below opset 21'],
  ['inlined', 'inlined'],
];

const isCopy = (replaced: ReplacedNorms): boolean => Object.values(replaced).every((count) => count === 0);

function describeReplaced({ replaced, lowerings }: ConvertedModel): string[] {
  const kinds = KINDS.filter(([kind]) => replaced[kind] > 0);
  const total = kinds.reduce((sum, [kind]) => sum + replaced[kind], 0);
  if (total > 0) {
    const each = kinds.map(([kind, words]) => `${replaced[kind]} ${words}`).join(', ');
    return [`${total} GroupNorm written as ${lowerings.join(' and ')}: ${each}`];
  }
  return replaced.rows > 0 ? ['No GroupNorm to rewrite'] : [];
}

function describeData({ locations, copies }: ModelData): string[] {
  if (locations.length === 0) return [];
  return [`Its weights lie beside it: ${locations.join(', ')}${copies.length > 0 ? ' (copied)' : ''}`];
}

function describeNeeds({ lowerings, foreign }: ConvertedModel): string[] {
  return [
    ...(lowerings.includes('op')
      ? [
          'ONNX Runtime has no kernel for it and is wrong for large means: run it in a session of onnx-groupnorm',
        ]
      : []),
    ...(foreign.length > 0
      ? [`Operators that not every runtime has are left as they are: ${foreign.join(', ')}`]
      : []),
  ];
}

// SECTION: `convert`: a model of the user's own with GroupNorm written as a lowering.

export interface ConvertFlags {
  readonly output: string;
  readonly lowering?: string;
}

export function addConvert(program: Command, cli: Cli): void {
  const command = program
    .command('convert')
    .summary('rewrite GroupNorm in an ONNX file, for any runtime')
    .description(DESCRIPTION)
    .usage('MODEL -o FILE [options]')
    .argument('<model>', 'the .onnx file to read')
    .addOption(new RequiredOption('-o, --output <file>', 'the ONNX file to write'))
    .addOption(
      new Option(
        '--lowering <name>',
        `how GroupNorm is written: ${LOWERING_NAMES.join(', ')} (default: reduce-mean; op takes a model of opset 21 ` +
          'or later)',
      ),
    )
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError("'onnx-groupnorm convert --help' explains what it takes")
    .action((model: string, flags: ConvertFlags) => {
      requireOptions(command);
      return convert(model, flags, cli.io);
    });
}

async function convert(path: string, { output, lowering }: ConvertFlags, io: Io): Promise<void> {
  await requireInputsKept([['-o', output]], [['the model', path]]);
  const summary = await withProgress(io.stderr, async (progress) => {
    progress.step(`loading ${path}`);
    const bytes = await readFileBytes(path);
    progress.step(`converting ${path}`);
    const name = lowering === undefined ? undefined : getLowering(lowering, MAX_OPSET).name;
    const converted = convertModel(bytes, { lowering: name, where: path });
    const data = await planModelData(path, output, Model.decode(bytes, path).externalLocations());
    progress.step(`writing ${output}`);
    await writeFilesAtomic([...data.copies, { path: output, content: converted.bytes }]);
    return describeConversion({ path, output, converted, data });
  });
  print(io.stdout, ...summary);
}

const DESCRIPTION =
  'Writes a copy of an ONNX model in which every GroupNorm is made of operators that every runtime has, with results ' +
  'that are right whatever the mean. It finds GroupNormalization, for which ONNX Runtime has no kernel; ' +
  'InstanceNormalization between two Reshapes, which PyTorch exports below opset 21; and the inlined body that ONNX ' +
  'Runtime or onnx.inliner leave. The opset and all else stay as they are.\n\n' +
  'Other normalizations that ONNX Runtime gets wrong are written as reduce-mean: InstanceNormalization, and ' +
  'LayerNormalization over rows of more than 1,024 elements or of unknown length. --lowering instance-norm or ' +
  'layer-norm leaves the operator of that name.\n\n' +
  '--lowering op writes the standard operator, and leaves all other normalizations: for runtimes that have a kernel ' +
  'for it, and for sessions of this package.\n\n' +
  'A model without any of these is written as it is. A GroupNormalization in a local function, or in the body of an ' +
  'If, Loop or Scan, is refused. Weights in files of their own stay there if the output goes to the same folder; else ' +
  'they are copied beside it, but not over another file.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm convert gn.onnx -o gn-portable.onnx
  $ onnx-groupnorm convert gn.onnx -o out/gn.onnx --lowering layer-norm
  $ onnx-groupnorm convert gn.onnx -o gn-op.onnx --lowering op

Exit codes: 0 written, even if there was nothing to rewrite; 2 bad usage or bad input, and an older
file is left as it was.`;
