/**
 * How many nodes a model has once its local functions are inlined, as ONNX Runtime does when it loads a model. Functions that
 * call functions may double the nodes with every level, so that a small file would take all memory.
 */
import { ModelError } from '../../errors.js';
import { canonicalDomain, isBody } from './node.js';
import { FUNCTION, GRAPH, NODE } from '../protobuf/schema.js';
import type { WireReader } from '../protobuf/wire.js';

/** The nodes in a graph or function, those in bodies of control flow among them. */
interface Nodes {
  count: number;
  /** How many nodes call each local function. */
  readonly calls: Map<string, number>;
}

/**
 * Returns the number of nodes that the inlined functions have in a graph.
 * @param functions The local functions, before their first fields.
 * @throws ModelError `MODEL_INVALID` if a function calls itself, also by way of others.
 */
export function inlinedNodeCount(graph: WireReader, functions: readonly WireReader[]): number {
  const ids = functions.map(idOfFunction);
  const known = new Set(ids);
  const bodies = new Map<string, Nodes>();
  for (const [index, body] of functions.entries())
    bodies.set(ids[index]!, nodesIn(body.rewound(), FUNCTION.node, known));
  const sizes = new Map<string, number>();
  for (const start of bodies.keys()) {
    // A list and not a recursion: functions may call each other deeper than the stack.
    const path = sizes.has(start) ? [] : [frameOf(start, bodies)];
    const waiting = new Set([start]);
    while (path.length > 0) {
      const { id, body, called } = path.at(-1)!;
      const next = called.next();
      if (next.done) {
        sizes.set(id, body.count + sumOfCalls(body, sizes));
        waiting.delete(id);
        path.pop();
      } else if (waiting.has(next.value)) {
        throw new ModelError('MODEL_INVALID', `the local function '${next.value}' calls itself`);
      } else if (!sizes.has(next.value)) {
        waiting.add(next.value);
        path.push(frameOf(next.value, bodies));
      }
    }
  }
  return sumOfCalls(nodesIn(graph.rewound(), GRAPH.node, known), sizes);
}

/** A function whose size is not known yet, and the functions that it calls. */
function frameOf(id: string, bodies: ReadonlyMap<string, Nodes>) {
  const body = bodies.get(id)!;
  return { id, body, called: body.calls.keys() };
}

/** Names a function as nodes call it. */
export const functionId = (domain: string, name: string, overload: string): string =>
  JSON.stringify([canonicalDomain(domain), name, overload]);

function idOfFunction(message: WireReader): string {
  const body = message.rewound();
  let [domain, name, overload] = ['', '', ''];
  while (body.next()) {
    if (body.tag === FUNCTION.domain) domain = body.text();
    else if (body.tag === FUNCTION.name) name = body.text();
    else if (body.tag === FUNCTION.overload) overload = body.text();
  }
  return functionId(domain, name, overload);
}

function sumOfCalls({ calls }: Nodes, sizes: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [id, times] of calls) sum += times * sizes.get(id)!;
  return sum;
}

/** Counts the nodes in a graph or function, whose nodes have the tag `nodeTag`. */
function nodesIn(
  message: WireReader,
  nodeTag: number,
  functions: ReadonlySet<string>,
  nodes: Nodes = { count: 0, calls: new Map() },
): Nodes {
  while (message.next()) if (message.tag === nodeTag) addNode(message.enter(), functions, nodes);
  return nodes;
}

function addNode(node: WireReader, functions: ReadonlySet<string>, nodes: Nodes): void {
  nodes.count += 1;
  let [domain, opType, overload] = ['', '', ''];
  while (node.next()) {
    if (node.tag === NODE.domain) domain = node.text();
    else if (node.tag === NODE.overload) overload = node.text();
    else if (node.tag === NODE.opType) opType = node.text();
    else if (node.tag === NODE.attribute) addBodies(node.enter(), functions, nodes);
  }
  const id = functionId(domain, opType, overload);
  if (functions.has(id)) nodes.calls.set(id, (nodes.calls.get(id) ?? 0) + 1);
}

function addBodies(attribute: WireReader, functions: ReadonlySet<string>, nodes: Nodes): void {
  while (attribute.next()) {
    if (isBody(attribute.tag)) nodesIn(attribute.enter(), GRAPH.node, functions, nodes);
  }
}
