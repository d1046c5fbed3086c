import type { GraphDefinition } from '../../../graphs/definition.js';
import type { Graph, Weights } from '../../graph/types.js';
import type { TensorData } from '../../tensor.js';
import { counterWeights } from '../../weights/counter.js';
import { initializeWeights } from '../../weights/initialize.js';
import { openSafetensors } from '../../weights/safetensors-file.js';
import type { SafetensorsFile } from '../../weights/safetensors.js';
import { matchStateDict } from '../../weights/state-dict.js';
import type { BuildOptions } from './build.js';

/** The parts of a parity fixture. */
const FIXTURE_KEY = /^(input|state_dict|output|truth)\./;
const PREFIX = 'state_dict.';

/** A state_dict, and what the file says of the network it belongs to. */
export interface StateDictFile {
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Name in the graph registry, and options; a parity fixture has them in its metadata. */
  readonly graph?: string | undefined;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** Of a fixture whose weights are `counterWeights` and lie in no file. */
  readonly counterSeed?: number | undefined;
}

/**
 * The state_dict of a `.safetensors` file: all of its tensors, or of a parity fixture those under `state_dict.`.
 * @param prefix Only what is under it is read, if anything is.
 * @throws FileError or WeightsError if the file cannot be read.
 */
export async function readStateDict(path: string, prefix = ''): Promise<StateDictFile> {
  const file = await openSafetensors(path);
  try {
    const keys = file.keys();
    const isFixture =
      keys.some((key) => key.startsWith(PREFIX)) || keys.every((key) => FIXTURE_KEY.test(key));
    if (!isFixture) {
      const under = keys.filter((key) => key.startsWith(prefix));
      return { tensors: await file.readAll(under.length > 0 ? under : keys) };
    }
    const own = await file.readAll(keys.filter((key) => key.startsWith(PREFIX)));
    const tensors = new Map([...own].map(([key, value]) => [key.slice(PREFIX.length), value]));
    return { tensors, ...describeNetwork(file) };
  } finally {
    await file.close();
  }
}

function describeNetwork({ metadata }: SafetensorsFile): Omit<StateDictFile, 'tensors'> {
  const { graph, options, weights, seed } = metadata;
  const isCounter = weights === 'counter' && /^\d+$/.test(seed ?? '');
  return { graph, options: parseObject(options), counterSeed: isCounter ? Number(seed) : undefined };
}

/** Metadata is anyone's: what is no JSON object is not ours. */
function parseObject(json: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

// SECTION: The weights of `build`: from a file, or PyTorch's default initialisation.

/** What is built, and of what. */
export interface Network {
  readonly definition: GraphDefinition;
  /** The options that were given; the others have their defaults. */
  readonly graphOptions: Readonly<Record<string, unknown>>;
  readonly graph: Graph;
}

/**
 * @param warn Is told what a fixture says of its network that is not so of this one: shapes may fit all the same.
 * @throws FileError or WeightsError if the file cannot be read or does not fit.
 */
export async function loadWeights(
  network: Network,
  { weights: path, prefix, seed }: Pick<BuildOptions, 'weights' | 'prefix' | 'seed'>,
  warn: (warning: string) => void,
): Promise<Weights> {
  if (path === undefined) return initializeWeights(network.graph, seed);
  const file = await readStateDict(path, prefix);
  const odd = disagreements(network, file);
  if (odd.length > 0) warn(`${path} was made for another network: ${odd.join('; ')}`);
  return file.counterSeed === undefined
    ? matchStateDict(network.graph, file.tensors, { prefix })
    : counterWeights(network.graph, file.counterSeed);
}

function disagreements({ definition, graphOptions }: Network, { graph, options }: StateDictFile): string[] {
  if (graph !== undefined && graph !== definition.name)
    return [`its graph is ${graph}, not ${definition.name}`];
  if (!options) return [];
  return Object.entries(definition.options).flatMap(([name, spec]) => {
    const [its, ours] = [options, graphOptions].map((values) => values[name] ?? spec.default);
    return its === ours ? [] : [`its ${name} is ${JSON.stringify(its)}, not ${JSON.stringify(ours)}`];
  });
}
