/** `convert`: copies an ONNX model and rewrites its GroupNorm, and copies the files that hold its weights. */
import { realpath, stat } from 'node:fs/promises';
import { dirname, join, normalize, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { FileError, ModelError } from '../../errors.js';
import { type DataFile, dataFileProblem, findDataFile, MISSING } from '../../files/data-file.js';
import { type FileToWrite, requireOneFolder, writeFilesAtomic } from '../../files/atomic.js';
import type { RangedFile } from '../../files/ranged.js';
import { openRanged } from '../../files/read.js';
import { Budget, type Limits, requireLimits } from '../../limits.js';
import { getSessionLowering, MAX_OPSET } from '../../lowering/choose.js';
import { SESSION_LOWERING_NAMES } from '../../lowering/types.js';
import { type ExternalFiles, externalFiles, renameLocations } from '../../onnx/tensor-walk.js';
import { readModelFile } from '../../onnx/write.js';
import { printable } from '../../printable.js';
import { formatBytes, plural } from '../../quantities.js';
import { type ConvertedModel, convertModel, type ReplacedNorms } from '../../rewrite/convert.js';
import { limitOption, pointToHelp, RequiredOption, requireOptions } from '../shared/options.js';
import { refuseOverwritingInputs } from '../shared/output-files.js';
import { withProgress } from '../shared/progress.js';
import { type Cli, type Io, print, UsageError } from '../shared/terminal.js';

interface ConvertOptions {
  readonly output: string;
  readonly lowering?: string;
  readonly limit?: Partial<Limits>;
}

export function addConvert(program: Command, cli: Cli): void {
  const command = program
    .command('convert')
    .summary('rewrite GroupNorm in an ONNX file, for any runtime')
    .description(DESCRIPTION)
    .usage('MODEL -o FILE [options]')
    .argument('<model>', 'ONNX file to read')
    .addOption(new RequiredOption('-o, --output <file>', 'ONNX file to write'))
    .addOption(
      new Option(
        '--lowering <name>',
        `how to write GroupNorm: ${SESSION_LOWERING_NAMES.join(', ')} (default: reduce-mean; op needs a model of opset 21 ` +
          "or later; contrib-group-norm is ONNX Runtime's own operator, for CUDA)",
      ),
    )
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .action((model: string, options: ConvertOptions) => {
      requireOptions(command);
      return convert(model, options, cli.io);
    });
  pointToHelp(command);
}

async function convert(path: string, { output, lowering, limit }: ConvertOptions, io: Io): Promise<void> {
  await refuseOverwritingInputs([['-o', output]], [['the model', path]]);
  const summary = await withProgress(io.stderr, async (progress) => {
    progress.step(`loading ${path}`);
    const bytes = await readModelFile(path);
    progress.step(`converting ${path}`);
    const name = lowering === undefined ? undefined : getSessionLowering(lowering, MAX_OPSET).name;
    const converted = convertModel(bytes, { lowering: name, where: path, limits: limit });
    const budget = new Budget(requireLimits('convert', limit), bytes.byteLength);
    const data = await planModelData(path, output, externalFiles(bytes, budget));
    progress.step(`writing ${output}`);
    const content = renameLocations(converted.bytes, data.names);
    await writeFilesAtomic([...data.copies, { path: output, content }]);
    return describeConversion({ path, output, converted, data });
  });
  print(io.stdout, ...summary.map(printable));
}

/** The data files of a model, which hold weights outside of the `.onnx` file. */
interface ModelData {
  /** Paths relative to the folder of the model. */
  readonly locations: readonly string[];
  /** The path of each file in the output, by its path in the model. They differ where that has `.` or `..`. */
  readonly names: ReadonlyMap<string, string>;
  /** The files to copy beside the output. Empty if it goes to the same folder, or if equal files are there already. */
  readonly copies: readonly FileToWrite[];
}

/**
 * Decides which data files must be copied for the output, and makes all checks before anything is written.
 * @param input Path of the model that is read.
 * @param output Path of the model to write.
 * @param files The data files.
 * @throws UsageError if the output or a copy would overwrite another file, FileError if a file cannot be read,
 *   ModelError `MODEL_UNSUPPORTED` if a file is not a regular file, is too short, or lies outside of the folder of the model.
 */
export async function planModelData(input: string, output: string, files: ExternalFiles): Promise<ModelData> {
  const sources = findSources(input, files);
  const names = new Map([...files.keys()].map((location) => [location, normalize(location)]));
  const locations = [...sources.keys()];
  const plan = { locations, names, copies: [] };
  const read = [...sources.values()].map(({ path }) => [`a data file of ${input}`, path] as const);
  await refuseOverwritingInputs([['-o', output]], read);
  if (locations.length === 0) return plan;
  await requireOneFolder(output);
  const [from, to] = [dirname(resolve(input)), dirname(resolve(output))];
  const isSame = await isSameFolder(from, to);
  for (const [, path] of read) await requireReadable(path);
  if (isSame) {
    requireReadableFrom(output, locations);
    return plan;
  }
  const copies: FileToWrite[] = [];
  for (const [name, { path, mode }] of sources) {
    const target = join(to, name);
    if (target === resolve(output)) throw sameNameAsData(output, name);
    if (isHidden(name)) throw hiddenName(input, name);
    if (await isCopied(path, target)) requireReadableFrom(output, [name]);
    else copies.push({ path: target, content: chunksOf(path), mode });
  }
  return { ...plan, copies };
}

/**
 * Finds the data files, by their paths without `.` and `..`. Refuses files outside of the folder of the model, because
 * runtimes do not read them.
 */
function findSources(input: string, files: ExternalFiles): Map<string, DataFile> {
  const sources = new Map<string, DataFile>();
  for (const [location, { size }] of files) {
    const found = findDataFile(input, location, size);
    if (!('problem' in found)) sources.set(normalize(location), found);
    else if (found.problem === MISSING)
      throw new FileError(
        'FILE_NOT_FOUND',
        `${input} keeps its weights in the separate file '${location}', ${MISSING}`,
      );
    else
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        `${input} keeps its weights in '${location}', ${found.problem}`,
      );
  }
  return sources;
}

/** Refuses to leave data files in place that the output may not read: links that only its source is allowed to follow. */
function requireReadableFrom(output: string, names: readonly string[]): void {
  for (const name of names) {
    const problem = dataFileProblem(output, name);
    if (problem === undefined) continue;
    const remedy = 'or name another folder with -o, which gets a copy';
    throw new UsageError(`${output} would find its weights in '${name}', ${problem}, ${remedy}`);
  }
}

/** Compares folders by their real paths. A folder that does not exist is not the same as any other. */
async function isSameFolder(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => realpath(path).catch(() => undefined)));
  return one !== undefined && one === other;
}

async function requireReadable(path: string): Promise<void> {
  const file = await openRanged(path);
  await file.close();
}

/**
 * Returns whether `target` has the bytes of `source` already. A target that cannot be looked at counts as missing: the
 * write says what is wrong with it.
 * @throws UsageError if the target is another file, or a folder.
 */
async function isCopied(source: string, target: string): Promise<boolean> {
  const found = await stat(target).catch(() => undefined);
  if (!found) return false;
  if (found.isFile() && (await haveSameBytes(source, target))) return true;
  throw new UsageError(
    `the model needs a copy of '${source}' beside it, but '${target}' exists and is different; ` +
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

/** Bytes that are read at once, because data files may be larger than the memory. */
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

const isHidden = (name: string): boolean => name.split(/[/\\]/).some((part) => part.startsWith('.'));

/** The model chooses the names of copies, and programs take hidden files for settings: `.bashrc`, `.ssh`. */
const hiddenName = (input: string, name: string): ModelError =>
  new ModelError(
    'MODEL_UNSUPPORTED',
    `${input} keeps its weights in the hidden file '${name}', which convert does not copy to another folder: write the ` +
      'output beside the model (-o)',
  );

const sameNameAsData = (output: string, name: string): FileError =>
  new FileError(
    'FILE_UNWRITABLE',
    `cannot write '${output}': the weights of the model go to '${name}' in the same folder; give the output another name`,
  );

/** A conversion that has been written. */
interface Conversion {
  readonly path: string;
  readonly output: string;
  readonly converted: ConvertedModel;
  readonly data: Pick<ModelData, 'locations' | 'copies'>;
}

/** Returns what was written and replaced, and what the output still needs, as lines. */
export function describeConversion({ path, output, converted, data }: Conversion): string[] {
  const { bytes, replaced } = converted;
  const written = `Wrote ${output} (${formatBytes(bytes.byteLength)})`;
  return [
    isCopy(replaced) ? `${written}, a copy of ${path}: there is nothing to rewrite` : written,
    ...describeReplaced(converted),
    ...(replaced.rows > 0
      ? [
          `${plural(replaced.rows, 'other normalization')} in which ONNX Runtime loses digits, written as reduce-mean`,
        ]
      : []),
    ...describeData(data),
    ...describeNeeds(converted),
  ];
}

const isCopy = (replaced: ReplacedNorms): boolean => Object.values(replaced).every((count) => count === 0);

/** The forms in which a model can have GroupNorm, in words. */
const FORMS: readonly (readonly [form: keyof ReplacedNorms, words: string])[] = [
  ['groupNormalization', 'GroupNormalization'],
  ['exported', 'as PyTorch exports it below opset 21'],
  ['contrib', "as ONNX Runtime's com.microsoft operators"],
  ['inlined', 'written out in arithmetic'],
];

function describeReplaced({ replaced, lowerings }: ConvertedModel): string[] {
  const forms = FORMS.filter(([form]) => replaced[form] > 0);
  const total = forms.reduce((sum, [form]) => sum + replaced[form], 0);
  if (total > 0) {
    const each = forms.map(([form, words]) => `${replaced[form]} ${words}`).join(', ');
    return [`${total} GroupNorm written as ${lowerings.join(' and ')}: ${each}`];
  }
  return replaced.rows > 0 ? ['No GroupNorm to rewrite'] : [];
}

function describeData({ locations, copies }: Conversion['data']): string[] {
  if (locations.length === 0) return [];
  return [`Keep its weights beside it: ${locations.join(', ')}${copies.length > 0 ? ' (copied)' : ''}`];
}

function describeNeeds({ lowerings, foreign }: ConvertedModel): string[] {
  return [
    ...(lowerings.includes('op')
      ? [
          'ONNX Runtime has no kernel for GroupNormalization and loses digits when the mean is large: run the model in ' +
            'a session of onnx-groupnorm',
        ]
      : []),
    ...(lowerings.includes('contrib-group-norm')
      ? ['com.microsoft.GroupNorm runs on CUDA by ONNX Runtime, and elsewhere in sessions of onnx-groupnorm']
      : []),
    ...(foreign.length > 0 ? [`Kept operators that only some runtimes have: ${foreign.join(', ')}`] : []),
  ];
}

const DESCRIPTION =
  'Copies an ONNX model and writes every GroupNorm with operators that every runtime has. The results are right, ' +
  'however large the mean of a group is. convert finds GroupNormalization, for which ONNX Runtime has no kernel; ' +
  'InstanceNormalization between two Reshapes, which PyTorch exports below opset 21; the GroupNorm and SkipGroupNorm ' +
  'that the optimizer of ONNX Runtime writes for GPUs; and arithmetic: the definition that ONNX Runtime and ' +
  'onnx.inliner write in place of the operator, the form of Keras 3, and GroupNorm written by hand in PyTorch. It keeps ' +
  'the opset and all other nodes.\n\n' +
  'ONNX Runtime also loses digits in other normalizations. convert writes these as reduce-mean: ' +
  'InstanceNormalization, and LayerNormalization over rows of more than 1,024 elements or of unknown length. ' +
  '--lowering instance-norm or layer-norm keeps the operator of that name.\n\n' +
  '--lowering op writes the standard operator and keeps all other normalizations. Use it for runtimes that have a ' +
  'kernel for the operator, and for sessions of this package.\n\n' +
  'If there is nothing to rewrite, the output is a copy of the model. convert refuses a GroupNormalization in a local ' +
  'function or in the body of an If, Loop or Scan. Weights in separate files stay in place if the output goes to the ' +
  'same folder. Otherwise convert copies them beside the output, but never over a different file.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm convert gn.onnx -o gn-portable.onnx
  $ onnx-groupnorm convert gn.onnx -o out/gn.onnx --lowering layer-norm
  $ onnx-groupnorm convert gn.onnx -o gn-op.onnx --lowering op

Exit codes: 0 written, even if there was nothing to rewrite; 2 bad usage or bad input, and an older
file stays as it was.`;
