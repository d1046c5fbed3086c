import { GraphError } from '../lib/errors.js';
import { nearestName } from '../lib/nearest.js';
import type { GraphDefinition } from './definition.js';
import { groupNormGraph } from './group-norm.js';

const DEFINITIONS: readonly GraphDefinition[] = [groupNormGraph];

/** Every network that can be built by name. */
export const GRAPHS: ReadonlyMap<string, GraphDefinition> = new Map(
  DEFINITIONS.map((definition) => [definition.name, definition]),
);

/** @throws GraphError `UNKNOWN_GRAPH` with the list of known ones. */
export function getGraph(name: string): GraphDefinition {
  const definition = GRAPHS.get(name);
  if (definition) return definition;
  const known = [...GRAPHS.keys()];
  const near = nearestName(name, known);
  throw new GraphError(
    'UNKNOWN_GRAPH',
    `unknown graph '${name}'${near ? `: did you mean '${near}'?` : ''}; known: ${known.join(', ')}`,
  );
}
