/** Loads the parameters of a graph from the source that the visitor chose. */
import {
  initializeWeights,
  matchStateDict,
  openSafetensors,
  type Graph,
  type TensorData,
  type Weights,
} from '../../lib/browser.js';
import type { WeightsSource } from '../protocol.js';
import { fetchDemo } from './files.js';

export async function loadWeights(graph: Graph, source: WeightsSource): Promise<Weights> {
  switch (source.from) {
    case 'seed':
      return initializeWeights(graph, source.seed);
    case 'demo':
      return matchStateDict(graph, (await fetchDemo()).stateDict);
    case 'file': {
      const prefix = source.prefix === '' ? undefined : source.prefix;
      return matchStateDict(graph, await readStateDict(source.file), { prefix });
    }
  }
}

/** Reads all tensors of a file, but of a parity fixture only the state_dict. */
async function readStateDict(blob: File): Promise<ReadonlyMap<string, TensorData>> {
  const file = await openSafetensors(blob);
  const keys = file.keys();
  const isFixture = 'graph' in file.metadata && keys.some((key) => key.startsWith('input.'));
  return file.readAll(isFixture ? keys.filter((key) => key.startsWith('state_dict.')) : keys);
}
