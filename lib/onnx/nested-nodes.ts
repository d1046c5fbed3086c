/** The nodes in the bodies of control flow and in local functions, which passes do not reach. */
import { type GraphField, readerOf } from './graph.js';
import { type ModelNode, readNode } from './node.js';
import { ATTRIBUTE, FUNCTION, GRAPH, MODEL } from './schema.js';
import { UNBOUNDED, WireReader } from './wire.js';

/**
 * Returns the nodes that lie within nodes of the graph, and in local functions.
 * @param model The encoded model, which has been decoded before.
 */
export function nestedNodes(graph: Iterable<GraphField>, model: Uint8Array): ModelNode[] {
  const found: ModelNode[] = [];
  for (const field of graph) if (field.node && field.inner) readNode(readerOf(field), bodiesInto(found));
  const fields = WireReader.of(model, UNBOUNDED);
  while (fields.next()) if (fields.tag === MODEL.functions) addNodes(fields.enter(), FUNCTION.node, found);
  return found;
}

function addNodes(message: WireReader, tag: number, found: ModelNode[]): void {
  while (message.next()) if (message.tag === tag) found.push(readNode(message, bodiesInto(found)));
}

/** Returns a function that adds the nodes of an attribute's graphs. */
const bodiesInto =
  (found: ModelNode[]) =>
  (field: WireReader): void => {
    const attribute = field.enter();
    while (attribute.next())
      if (attribute.tag === ATTRIBUTE.g || attribute.tag === ATTRIBUTE.graphs)
        addNodes(attribute.enter(), GRAPH.node, found);
  };
