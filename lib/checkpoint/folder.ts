/**
 * Finds and opens what a folder of diffusers or timm holds: the configuration, and the safetensors files with the weights, in
 * one file or in shards. Sources: `DiffusionPipeline.save_pretrained` and `ModelMixin.save_pretrained` of diffusers,
 * `save_for_hf` of timm, and the layout of Hugging Face's cache, whose files are links into `blobs/`.
 */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { knownClasses } from '../../graphs/pretrained.js';
import type { Pretrained } from '../../graphs/shared/pretrained.js';
import { CheckpointError, FileError } from '../errors.js';
import { findDataFile, MISSING } from '../files/data-file.js';
import { readFileBytes } from '../files/read.js';
import { reasonOf, systemCode } from '../files/system-error.js';
import { type Limits, overLimit } from '../limits.js';
import { isObject } from '../options.js';
import { listNames } from '../quantities.js';
import type { FloatDType } from '../tensor.js';
import { openSafetensors } from '../weights/safetensors-file.js';
import type { SafetensorsFile } from '../weights/safetensors.js';

/** The name of the file with the configuration. */
export const CONFIG = 'config.json';

/**
 * Reads the configuration of a folder.
 * @throws CheckpointError `CONFIG_INVALID` if it is not a JSON object, or the folder is a whole pipeline; FileError.
 */
export async function readConfig(
  folder: string,
  limits: Limits,
  table: readonly Pretrained[],
): Promise<Record<string, unknown>> {
  const names = await namesIn(folder);
  if (names.includes(CONFIG)) return readJson(join(folder, CONFIG), limits);
  if (names.includes(PIPELINE)) throw await pipelineError(folder, limits, table);
  throw new FileError(
    'FILE_NOT_FOUND',
    `'${folder}' has no ${CONFIG}: name a folder that diffusers or timm has saved, such as the vae of a pipeline`,
  );
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (cause) {
    const isMissing = ['ENOENT', 'ENOTDIR'].includes(systemCode(cause) ?? '');
    const isFile = systemCode(cause) === 'ENOTDIR';
    const reason = isFile
      ? 'it, or a part of its path, is a file; name the folder that the file is in'
      : `${reasonOf(cause)}${isMissing ? ' (nothing is downloaded: give a folder on this machine)' : ''}`;
    throw new FileError(
      isMissing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      `cannot read the folder '${folder}': ${reason}`,
      { cause },
    );
  }
}

async function readJson(path: string, limits: Limits): Promise<Record<string, unknown>> {
  const bytes = await readFileBytes(path, ({ size }) => {
    if (size <= limits.configBytes) return;
    throw new FileError('LIMIT_EXCEEDED', ...overLimit(`'${path}' has ${size} bytes`, 'configBytes'));
  });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CheckpointError('CONFIG_INVALID', `'${path}' is not JSON: get the file again`, { cause });
  }
  if (isObject(value)) return value;
  throw new CheckpointError('CONFIG_INVALID', `'${path}' is not a JSON object: get the file again`);
}

/** The file that lists the parts of a pipeline of diffusers. */
const PIPELINE = 'model_index.json';

/** Makes the error that names the folders of a pipeline that can be built. */
async function pipelineError(
  folder: string,
  limits: Limits,
  table: readonly Pretrained[],
): Promise<CheckpointError> {
  const classes = table.filter(({ library }) => library === 'diffusers').flatMap((entry) => entry.classes);
  // Each part is the name of its folder, with its library and its class.
  const parts = Object.entries(await readJson(join(folder, PIPELINE), limits)).flatMap(([name, part]) => {
    const className: unknown = Array.isArray(part) ? part[1] : undefined;
    return classes.includes(className as string) ? [`${join(folder, name)} (${String(className)})`] : [];
  });
  const advice =
    parts.length === 0
      ? `none of its folders can be built; known: ${knownClasses(table)}`
      : `name one of its folders: ${listNames(parts)}`;
  return new CheckpointError('CONFIG_INVALID', `'${folder}' is a whole pipeline; ${advice}`);
}

/** The weights of a folder. */
export interface FolderWeights {
  /** What was read, for people: `diffusion_pytorch_model.fp16.safetensors`, or the index of the shards. */
  readonly name: string;
  /** The paths of all files. */
  readonly paths: readonly string[];
  /** The open file that has each tensor. The caller closes the files. */
  readonly tensors: ReadonlyMap<string, SafetensorsFile>;
  close(): Promise<void>;
}

/**
 * Opens the weights of a folder. Of several precisions takes that of `dtype` if there is one, else the file without one.
 * @throws CheckpointError `WEIGHTS_NOT_FOUND` if there are no weights, or a shard is missing or lies elsewhere;
 *   `WEIGHTS_INVALID` if the index of the shards is wrong; WeightsError; FileError.
 */
export async function openWeights(folder: string, dtype: FloatDType, limits: Limits): Promise<FolderWeights> {
  const names = await namesIn(folder);
  const name = chooseFile(folder, names, dtype);
  if (!name.endsWith('.json')) return openFiles(folder, name, [name], limits);
  const places = readPlaces(name, await readJson(findFile(folder, name), limits));
  return openFiles(folder, name, [...new Set(places.values())].sort(), limits, places);
}

/** The weights, or an index of shards, of either library: `model.fp16.safetensors`, `model.safetensors.index.fp16.json`. */
const WEIGHTS = /^(?:diffusion_pytorch_model|model)(?:\.(\w+))?\.safetensors(?:\.index(?:\.(\w+))?\.json)?$/;

/** The name that diffusers gives to files of a dtype. */
const VARIANTS: Partial<Record<FloatDType, string>> = { float16: 'fp16', bfloat16: 'bf16' };

function chooseFile(folder: string, names: readonly string[], dtype: FloatDType): string {
  const variants = new Map<string, string>();
  for (const name of names) {
    const match = WEIGHTS.exec(name);
    // diffusers takes an index before a file; `m.safetensors` sorts before `m.safetensors.index.json`.
    if (match) variants.set(match[1] ?? match[2] ?? '', name);
  }
  for (const variant of [VARIANTS[dtype], '', 'fp16', 'bf16', ...variants.keys()]) {
    const name = variant === undefined ? undefined : variants.get(variant);
    if (name !== undefined) return name;
  }
  const others = names.filter((name) => /\.(safetensors|bin|ckpt|pth?|msgpack|h5)$/.test(name));
  const there = others.length === 0 ? '' : `; it has ${listNames(others, 4)}`;
  throw new CheckpointError(
    'WEIGHTS_NOT_FOUND',
    `'${folder}' has no diffusion_pytorch_model.safetensors or model.safetensors${there}. Download it, or save the ` +
      'network again (in Python: model.save_pretrained(folder))',
  );
}

/** Returns the path of a file of the folder, with links followed as far as they may lead. */
function findFile(folder: string, name: string): string {
  // As with a model and its weights: in the cache of Hugging Face all files are links to files of one other folder.
  const found = findDataFile(join(folder, CONFIG), name);
  if (!('problem' in found)) return found.path;
  const problem = found.problem === MISSING ? 'which is not in it: download that file too' : found.problem;
  throw new CheckpointError('WEIGHTS_NOT_FOUND', `'${folder}' needs the file '${name}', ${problem}`);
}

/** Reads an index of shards: which file has each tensor. */
function readPlaces(name: string, { weight_map: map }: Record<string, unknown>): Map<string, string> {
  const places = new Map<string, string>();
  for (const [key, file] of Object.entries(isObject(map) ? map : {})) {
    if (typeof file !== 'string') throw invalidIndex(name, `the file of '${key}' is not text`);
    if (basename(file) !== file)
      throw invalidIndex(name, `it names the file '${file}', which is not in its folder`);
    places.set(key, file);
  }
  if (places.size === 0) throw invalidIndex(name, "it has no 'weight_map' of tensors and files");
  return places;
}

const invalidIndex = (name: string, problem: string): CheckpointError =>
  new CheckpointError('WEIGHTS_INVALID', `${name} is not an index of shards: ${problem}`);

async function openFiles(
  folder: string,
  name: string,
  fileNames: readonly string[],
  limits: Limits,
  places?: ReadonlyMap<string, string>,
): Promise<FolderWeights> {
  const files = new Map<string, SafetensorsFile>();
  const close = async () => {
    await Promise.all([...files.values()].map((file) => file.close()));
  };
  try {
    for (const one of fileNames) files.set(one, await openSafetensors(findFile(folder, one), { limits }));
    const tensors = new Map<string, SafetensorsFile>();
    if (places) for (const [key, place] of places) tensors.set(key, files.get(place)!);
    else for (const file of files.values()) for (const key of file.keys()) tensors.set(key, file);
    // An index that names a tensor which its file lacks is found here, and not while a model is written.
    for (const [key, file] of tensors) file.info(key);
    return { name, paths: fileNames.map((one) => join(folder, one)), tensors, close };
  } catch (error) {
    await close();
    throw error;
  }
}
