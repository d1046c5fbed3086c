/** The nodes in the bodies of control flow and in local functions, which passes do not reach. */
import { type GraphField, readerOf } from './graph.js';
import type { ModelNode } from './node.js';
import { GRAPH_PLACE, type NodePlace, visitFunction, visitNode } from './outline.js';
import { MODEL } from './schema.js';
import { UNBOUNDED, WireReader } from './wire.js';

/**
 * Returns the nodes that lie within nodes of the graph, and in local functions.
 * @param model The encoded model, which has been decoded before.
 */
export function nestedNodes(graph: Iterable<GraphField>, model: Uint8Array): ModelNode[] {
  const found: ModelNode[] = [];
  const add = (node: ModelNode, { kind }: NodePlace): void => {
    if (kind !== 'graph') found.push(node);
  };
  for (const field of graph) if (field.node && field.inner) visitNode(readerOf(field), GRAPH_PLACE, add);
  const fields = WireReader.of(model, UNBOUNDED);
  while (fields.next()) if (fields.tag === MODEL.functions) visitFunction(fields, add);
  return found;
}
