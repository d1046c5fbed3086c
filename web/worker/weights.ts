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

type FileSource = Extract<WeightsSource, { from: 'file' }>;

export async function loadWeights(graph: Graph, source: WeightsSource): Promise<Weights> {
  switch (source.from) {
    case 'seed':
      return initializeWeights(graph, source.seed);
    case 'demo':
      return matchStateDict(graph, (await fetchDemo()).stateDict);
    case 'file':
      return matchStateDict(graph, await readStateDict(source), { prefix: source.prefix || undefined });
  }
}

/** Reads the tensors under a prefix, or all if no key has it, for the error message; of a parity fixture the state_dict. */
async function readStateDict({ file: blob, prefix }: FileSource): Promise<ReadonlyMap<string, TensorData>> {
  const file = await openSafetensors(blob);
  const keys = file.keys();
  const isFixture = 'graph' in file.metadata && keys.some((key) => key.startsWith('input.'));
  const under = keys.filter((key) => key.startsWith(isFixture ? 'state_dict.' : prefix));
  return file.readAll(under.length > 0 ? under : keys);
}
