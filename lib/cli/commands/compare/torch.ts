/** `compare --torch`: a model against what the modules of PyTorch returned. */
import type { Command } from 'commander';
import { JsonReader } from '../../../files/json-reader.js';
import { readFileBytes } from '../../../files/read.js';
import type { CompareActivationsOptions } from '../../../insight/compare/compare-activations.js';
import type { ModelToCompare } from '../../../insight/compare/compare-models.js';
import type { ModelComparison } from '../../../insight/compare/comparison.js';
import { compareActivations } from '../../../insight/node.js';
import { formatBytes } from '../../../quantities.js';
import { UsageError } from '../../shared/terminal.js';
import type { InputOptions } from '../run/inputs.js';

/** The options of `compare` that this file adds. */
export interface TorchOptions {
  readonly torch?: string;
  /** Texts such as `conv1=conv2d`, and paths. */
  readonly map?: readonly string[];
}

/** Adds `--torch` and `--map`. */
export const addTorchOptions = (command: Command): Command =>
  command
    .option(
      '--torch <file>',
      'compare the model with what each module of PyTorch returned: a .safetensors file, written by the program of ' +
        'docs/compare.md, which has the inputs too',
    )
    .option(
      '--map <name=value>',
      'with --torch: the tensor NAME of the file is the value VALUE of the model, where the model does not say so; for an ' +
        'input, input.NAME=INPUT; or a .json file of an object with such pairs. May be given several times',
      (text: string, previous: readonly string[] = []) => [...previous, text],
    );

/** Compares one side with the file of `--torch`. */
export async function compareTorch(
  [side, ...others]: readonly (ModelToCompare & { readonly model: string })[],
  { torch, map = [] }: TorchOptions & { readonly torch: string },
  options: CompareActivationsOptions,
): Promise<ModelComparison> {
  if (others.length > 0)
    throw new UsageError(
      '--torch compares one model that runs in one way: give one model, one provider and one --group-norm',
    );
  const label = side!.model;
  return await compareActivations({ ...side!, label }, torch, { ...options, map: await readMap(map) });
}

/** @throws UsageError for options that do not go together. */
export function requireTorchOptions({
  torch,
  map,
  input,
  random,
  dim,
}: TorchOptions & Partial<InputOptions>): void {
  if (torch === undefined) {
    if (map !== undefined) throw new UsageError('--map needs --torch, whose tensors it names');
    return;
  }
  if (input ?? random ?? dim)
    throw new UsageError(
      '--torch takes the inputs from its file, of which the activations are: leave --input, --random and --dim out',
    );
}

/** Returns the files of maps. */
export const mapFiles = ({ map = [] }: TorchOptions): string[] => map.filter((text) => !text.includes('='));

/** Reads texts such as `conv1=conv2d`, and files. */
async function readMap(texts: readonly string[]): Promise<Map<string, string>> {
  const map = new Map<string, string>();
  for (const text of texts) {
    const pairs = text.includes('=') ? [splitPair(text)] : await readMapFile(text);
    for (const [name, value] of pairs) {
      if (map.has(name)) throw new UsageError(`--map gives '${name}' twice; give each name once`);
      map.set(name, value);
    }
  }
  return map;
}

function splitPair(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`--map takes NAME=VALUE, such as conv1=conv2d, or a .json file; got '${text}'`);
}

/** The most bytes of a file with a map: a million names. */
const MAX_MAP = 2 ** 26;

async function readMapFile(path: string): Promise<[name: string, value: string][]> {
  const bytes = await readFileBytes(path, ({ size }) => {
    if (size > MAX_MAP)
      throw new UsageError(
        `--map: ${path} has ${formatBytes(size)}; a map has at most ${formatBytes(MAX_MAP)}`,
      );
  });
  try {
    const json = new JsonReader(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const pairs: [string, string][] = [];
    for (const name of json.members()) pairs.push([name, json.string()]);
    json.end();
    return pairs;
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    throw new UsageError(
      `--map: ${path} must be a JSON object such as {"conv1": "conv2d"}, names of tensors and of values: ${cause.message}`,
      { cause },
    );
  }
}
