import { GraphError } from '../lib/errors.js';
import { suggestion } from '../lib/nearest.js';
import type { GraphDefinition } from './definition.js';
import { detectionBackboneGraph } from './detection-backbone.js';
import { doubleConvGraph } from './double-conv.js';
import { groupNormGraph } from './group-norm.js';
import { normComparisonGraph } from './norm-comparison.js';
import { resnetBlockGraph } from './resnet-block.js';
import { unetGraph } from './unet.js';

const DEFINITIONS: readonly GraphDefinition[] = [
  groupNormGraph,
  resnetBlockGraph,
  doubleConvGraph,
  unetGraph,
  detectionBackboneGraph,
  normComparisonGraph,
];

/** Every network that can be built by name. */
export const GRAPHS: ReadonlyMap<string, GraphDefinition> = new Map(
  DEFINITIONS.map((definition) => [definition.name, definition]),
);

/**
 * The network of a name.
 * @throws GraphError `UNKNOWN_GRAPH` with the list of known ones.
 */
export function getGraph(name: string): GraphDefinition {
  const definition = GRAPHS.get(name);
  if (definition) return definition;
  const known = [...GRAPHS.keys()];
  throw new GraphError(
    'UNKNOWN_GRAPH',
    `unknown graph '${name}'${suggestion(String(name), known)}; known: ${known.join(', ')}`,
  );
}
