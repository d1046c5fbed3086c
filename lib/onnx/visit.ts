/** The graphs within a graph: bodies of If, Loop and Scan lie in the attributes of nodes. */
import { ModelError } from '../errors.js';
import { ATTRIBUTE, FUNCTION, GRAPH, NODE } from './schema.js';
import type { WireReader } from './wire.js';

/** Sees a field of a graph, and whether that is the outermost one or one within it. */
export type Visit = (field: WireReader, isNested: boolean) => void;

/** Visits the fields of a graph and of all graphs within it. How deep they go is what the reader allows. */
export function visitGraph(graph: WireReader, visit: Visit, isNested = false): void {
  while (graph.next()) {
    visit(graph, isNested);
    if (graph.tag === GRAPH.node) visitBodies(graph.enter(), visit);
  }
}

/** Visits the nodes of a local function, each as a field, and the graphs within them and within its attributes. */
export function visitFunction(body: WireReader, visitNode: Visit, visit: Visit): void {
  while (body.next()) {
    if (body.tag === FUNCTION.node) {
      visitNode(body, true);
      visitBodies(body.enter(), visit);
    }
    if (body.tag === FUNCTION.attributeProto) visitAttribute(body.enter(), visit);
  }
}

function visitBodies(node: WireReader, visit: Visit): void {
  while (node.next()) {
    if (node.tag === NODE.attribute) visitAttribute(node.enter(), visit);
  }
}

function visitAttribute(attribute: WireReader, visit: Visit): void {
  let graphs = 0;
  while (attribute.next()) {
    const { tag } = attribute;
    if (tag !== ATTRIBUTE.g && tag !== ATTRIBUTE.graphs) continue;
    if (tag === ATTRIBUTE.g && ++graphs > 1) throw requireOnce('an attribute', 'graph');
    visitGraph(attribute.enter(), visit, true);
  }
}

/**
 * protobuf takes a message that occurs twice, where there is one, for two parts of it. No writer writes that, so it
 * is refused, rather than read in another way than the runtime reads it.
 */
export const requireOnce = (where: string, field: string): ModelError =>
  new ModelError('MODEL_INVALID', `${where} has more than one '${field}'`);
