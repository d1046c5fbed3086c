/** Lowers the GroupNormalizations of a graph that this library builds. */
import { GraphError } from '../errors.js';
import type { Place } from '../graph/checks.js';
import { DEFAULT_EPSILON, requireGroupNormalization } from '../graph/ops/normalization.js';
import type { Attributes, Graph, Node, Value } from '../graph/types.js';
import { getLowering } from './choose.js';
import { type Fragment, lowerSite, namesOf, type SiteRef } from './lower-site.js';

/**
 * Returns the same graph with every GroupNormalization lowered, ready to be encoded at `opset`. Inputs, outputs and
 * parameters stay as they are.
 * @throws GraphError `UNKNOWN_LOWERING`, `LOWERING_UNAVAILABLE`, `UNSUPPORTED_OPSET`, and, for a GroupNormalization that
 *   was added by hand with wrong inputs or attributes, the errors of `op.groupNormalization`.
 */
export function lowerGraph(graph: Graph, lowering: string, opset: number): Graph {
  getLowering(lowering, opset);
  const { inputs, parameters, constants, nodes } = graph;
  const takenNames = new Set(namesOf(nodes, [...inputs, ...parameters, ...constants]));
  const fragments = nodes.map((node): Fragment =>
    node.opType === 'GroupNormalization'
      ? lowerSite(siteOf(node), lowering, opset, takenNames)
      : { nodes: [node], constants: [] },
  );
  return {
    ...graph,
    nodes: fragments.flatMap((fragment) => fragment.nodes),
    constants: [...constants, ...fragments.flatMap((fragment) => fragment.constants)],
  };
}

/** Reads and checks a node: `Scope.node` adds a GroupNormalization without the checks of `op.groupNormalization`. */
function siteOf({ name, inputs, outputs, attributes }: Node): SiteRef {
  const place = { describe: (opType: string) => `${opType} '${name}'` };
  const [x, scale, bias] = inputs;
  const numGroups = numberOf(place, attributes, 'num_groups', 'INT');
  const epsilon = numberOf(place, attributes, 'epsilon', 'FLOAT', DEFAULT_EPSILON);
  requireGroupNormalization(place, { x: x!, scale, bias, numGroups, epsilon });
  requireOneOutput(place, outputs);
  return { name, x: x!, scale, bias, numGroups, epsilon, output: outputs[0]!.name };
}

function numberOf(
  place: Place,
  attributes: Attributes,
  name: string,
  type: 'INT' | 'FLOAT',
  absent?: number,
): number {
  const attribute = attributes[name];
  if (attribute?.type === type) return attribute.value;
  if (attribute === undefined && absent !== undefined) return absent;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${place.describe('GroupNormalization')}: its attribute ${name} must be an attr.${type.toLowerCase()}`,
  );
}

function requireOneOutput(place: Place, outputs: readonly Value[]): void {
  if (outputs.length === 1) return;
  throw new GraphError(
    'MISSING_VALUE',
    `${place.describe('GroupNormalization')}: it has one output, not ${outputs.length}`,
  );
}
