/** The head of an encoded model, and a walk over all of its nodes: those of local functions and of bodies too. */
import { type GraphField, readerOf } from './graph.js';
import { canonicalDomain, type ModelNode, readNode } from './node.js';
import { FUNCTION, GRAPH, MODEL, OPSET } from '../protobuf/schema.js';
import { UNBOUNDED, WireReader } from '../protobuf/wire.js';

/** What a ModelProto says of itself. */
export interface ModelOutline {
  /** The version of ONNX's file format; 0 if the model does not name it. */
  readonly irVersion: number;
  /** `''` if the model does not name it, as for the version. */
  readonly producerName: string;
  readonly producerVersion: string;
  /** The version of each operator set, by its domain; ONNX's own is `''`. */
  readonly opsets: ReadonlyMap<string, number>;
  /** The local functions, as `operatorName` names them. */
  readonly functions: readonly string[];
}

/** Where a node lies: the graph, a local function, or the body of an If, Loop or Scan. */
export interface NodePlace {
  readonly kind: 'graph' | 'function' | 'body';
  /** The place in words: `graph`, `function a.B`, `body of If 'name'`. */
  readonly text: string;
}

type Visit = (node: ModelNode, place: NodePlace, hasBody: boolean) => void;

/** Names an operator for people: `Relu`, `com.microsoft.GroupNorm`. */
export const operatorName = (domain: string, opType: string): string => {
  const own = canonicalDomain(domain);
  return own === '' ? opType : `${own}.${opType}`;
};

/**
 * Reads the head of a model, and calls `visit` with every node, in the order of the file.
 * @param model The bytes of a model that was decoded before, so that its limits are checked.
 */
export function readOutline(model: Uint8Array, visit: Visit): ModelOutline {
  const reader = WireReader.of(model, UNBOUNDED);
  const opsets = new Map<string, number>();
  const functions: string[] = [];
  let [irVersion, producerName, producerVersion] = [0, '', ''];
  while (reader.next()) {
    const { tag } = reader;
    if (tag === MODEL.irVersion) irVersion = reader.int64();
    else if (tag === MODEL.producerName) producerName = reader.text();
    else if (tag === MODEL.producerVersion) producerVersion = reader.text();
    else if (tag === MODEL.graph) visitNodes(reader.enter(), GRAPH.node, GRAPH_PLACE, visit);
    else if (tag === MODEL.functions) functions.push(visitFunction(reader, visit));
    else if (tag === MODEL.opsetImport) {
      const { domain, version } = readOpset(reader);
      if (!opsets.has(domain)) opsets.set(domain, version);
    }
  }
  return { irVersion, producerName, producerVersion, opsets, functions };
}

/** Reads the field of an operator set that a model imports. */
export function readOpset(field: WireReader): { domain: string; version: number } {
  let [domain, version] = ['', 0];
  const entry = field.enter();
  while (entry.next()) {
    if (entry.tag === OPSET.domain) domain = entry.text();
    else if (entry.tag === OPSET.version) version = entry.int64();
  }
  return { domain: canonicalDomain(domain), version };
}

const GRAPH_PLACE: NodePlace = { kind: 'graph', text: 'graph' };

/** Visits the nodes of the local function in a field, and returns the function's name. */
function visitFunction(field: WireReader, visit: Visit): string {
  let [domain, name] = ['', ''];
  const header = field.enter();
  while (header.next()) {
    if (header.tag === FUNCTION.domain) domain = header.text();
    else if (header.tag === FUNCTION.name) name = header.text();
  }
  visitNodes(field.enter(), FUNCTION.node, functionPlace(domain, name), visit);
  return operatorName(domain, name);
}

/** Returns the place of the nodes in a local function. */
export const functionPlace = (domain: string, name: string): NodePlace => ({
  kind: 'function',
  text: `function ${operatorName(domain, name)}`,
});

function visitNodes(message: WireReader, tag: number, place: NodePlace, visit: Visit): void {
  while (message.next()) if (message.tag === tag) visitNode(message, place, visit);
}

/** Visits the node in a field, and the nodes in its bodies. */
function visitNode(field: WireReader, place: NodePlace, visit: Visit): void {
  const node = readNode(field);
  const bodies = [...node.bodies()];
  visit(node, place, bodies.length > 0);
  for (const body of bodies) visitNodes(WireReader.of(body, UNBOUNDED), GRAPH.node, bodyPlace(node), visit);
}

/** Returns the place of the nodes in a node's bodies. */
export const bodyPlace = ({ name, opType, outputs }: ModelNode): NodePlace => ({
  kind: 'body',
  text: `body of ${opType} '${name || outputs[0] || ''}'`,
});

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
