/** The nodes in the bodies of control flow and in local functions. */
import { type GraphField, readerOf } from './graph.js';
import type { ModelNode } from './node.js';
import { GRAPH_PLACE, type NodePlace, visitFunction, visitNode } from './outline.js';
import { UNBOUNDED, WireReader } from '../protobuf/wire.js';

/**
 * Returns the nodes that lie within nodes of the graph, and in local functions.
 * @param functions The fields of the local functions in their model, which have been decoded before.
 */
export function nestedNodes(graph: Iterable<GraphField>, functions: readonly Uint8Array[]): ModelNode[] {
  const found: ModelNode[] = [];
  const add = (node: ModelNode, { kind }: NodePlace): void => {
    if (kind !== 'graph') found.push(node);
  };
  for (const field of graph) if (field.node && field.inner) visitNode(readerOf(field), GRAPH_PLACE, add);
  for (const bytes of functions) {
    const fields = WireReader.of(bytes, UNBOUNDED);
    while (fields.next()) visitFunction(fields, add);
  }
  return found;
}
