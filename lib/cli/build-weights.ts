/** The weights of `build`: from a file, or PyTorch's default initialisation. */
import type { GraphDefinition } from '../../graphs/definition.js';
import type { Graph, Weights } from '../graph/index.js';
import { counterWeights } from '../weights/counter.js';
import { initializeWeights } from '../weights/initialize.js';
import { matchStateDict } from '../weights/state-dict.js';
import type { BuildOptions } from './build-options.js';
import { readStateDict, type StateDictFile } from './state-dict-file.js';

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
