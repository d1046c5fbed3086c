/** The weights of `build`: read from a `.safetensors` file, or PyTorch's default initialisation. */
import type { GraphDefinition } from '../../../../graphs/shared/definition.js';
import type { Graph, Weights } from '../../../graph/types.js';
import type { Limits } from '../../../limits.js';
import { isObject } from '../../../options.js';
import type { TensorData } from '../../../tensor.js';
import { counterWeights } from '../../../weights/counter.js';
import { initializeWeights } from '../../../weights/initialize.js';
import type { SafetensorsOptions } from '../../../weights/safetensors-header.js';
import { openSafetensors } from '../../../weights/safetensors-file.js';
import type { SafetensorsFile } from '../../../weights/safetensors.js';
import { matchStateDict } from '../../../weights/state-dict.js';

/** The network to build. */
interface Network {
  readonly definition: GraphDefinition;
  /** The options from the command line; the definition has the defaults of the others. */
  readonly graphOptions: Readonly<Record<string, unknown>>;
  readonly graph: Graph;
}

interface WeightsRequest {
  /** Path of a `.safetensors` file. Default: PyTorch's initialisation. */
  readonly weights?: string;
  readonly prefix?: string;
  readonly seed: number;
  /** The limits for the file. */
  readonly limit?: Partial<Limits>;
}

/**
 * Returns the weights of a network.
 * @param warn Receives a warning if the file is a fixture of another network whose shapes may fit nevertheless.
 * @throws FileError or WeightsError if the file cannot be read or does not fit.
 */
export async function loadWeights(
  network: Network,
  { weights: path, prefix, seed, limit }: WeightsRequest,
  warn: (warning: string) => void,
): Promise<Weights> {
  if (path === undefined) return initializeWeights(network.graph, seed);
  const file = await readStateDict(path, prefix, { limits: limit });
  const differences = compareNetworks(network, file);
  if (differences.length > 0) warn(`${path} was made for another network: ${differences.join('; ')}`);
  return file.counterSeed === undefined
    ? matchStateDict(network.graph, file.tensors, { prefix })
    : counterWeights(network.graph, file.counterSeed);
}

/** A state_dict, and the network that it was made for, if the file says so. */
interface StateDictFile {
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Name in the graph registry, from the metadata of a parity fixture. */
  readonly graph?: string | undefined;
  /** Options of the graph, from the metadata of a parity fixture. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** Seed of a fixture that has `counterWeights` in place of tensors. */
  readonly counterSeed?: number | undefined;
}

/** Keys that only a parity fixture has. */
const FIXTURE_KEY = /^(input|state_dict|output|truth)\./;
const STATE_DICT = 'state_dict.';

/**
 * Reads the state_dict of a `.safetensors` file: all tensors, or in a parity fixture those under `state_dict.`.
 * @param prefix Reads only the tensors under it, or all tensors if no key has the prefix, for the error message.
 * @throws FileError or WeightsError if the file cannot be read.
 */
export async function readStateDict(
  path: string,
  prefix = '',
  options: SafetensorsOptions = {},
): Promise<StateDictFile> {
  await using file = await openSafetensors(path, options);
  const keys = file.keys();
  const isFixture =
    keys.some((key) => key.startsWith(STATE_DICT)) || keys.every((key) => FIXTURE_KEY.test(key));
  if (!isFixture) {
    const under = keys.filter((key) => key.startsWith(prefix));
    return { tensors: await file.readAll(under.length > 0 ? under : keys) };
  }
  const own = await file.readAll(keys.filter((key) => key.startsWith(STATE_DICT)));
  const tensors = new Map([...own].map(([key, value]) => [key.slice(STATE_DICT.length), value]));
  return { tensors, ...describeNetwork(file) };
}

function describeNetwork({ metadata }: SafetensorsFile): Omit<StateDictFile, 'tensors'> {
  const { graph, options, weights, seed } = metadata;
  const isCounter = weights === 'counter' && /^\d+$/.test(seed ?? '');
  return { graph, options: parseObject(options), counterSeed: isCounter ? Number(seed) : undefined };
}

/** Returns `undefined` for text that is not a JSON object: other programs may use the same metadata key. */
function parseObject(json: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json ?? '');
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function compareNetworks({ definition, graphOptions }: Network, { graph, options }: StateDictFile): string[] {
  if (graph !== undefined && graph !== definition.name) {
    return [`its graph is ${graph}, not ${definition.name}`];
  }
  if (!options) return [];
  return Object.entries(definition.options).flatMap(([name, spec]) => {
    const [its, ours] = [options, graphOptions].map((values) => values[name] ?? spec.default);
    return JSON.stringify(its) === JSON.stringify(ours)
      ? []
      : [`its ${name} is ${JSON.stringify(its)}, not ${JSON.stringify(ours)}`];
  });
}
