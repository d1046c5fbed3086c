/** The files that a model's tensors lie in, where it does not hold their data itself. */
import { ATTRIBUTE, GRAPH, NODE, SPARSE_TENSOR } from './schema.js';
import { readTensor } from './tensor-fields.js';
import type { WireReader } from './wire.js';

/** Those of the tensors in a field of a graph: weights, sparse ones too, and what the attributes of a node hold. */
export function* locationsIn(field: WireReader): Generator<string, void> {
  if (field.tag === GRAPH.initializer) yield* locationOf(field);
  else if (field.tag === GRAPH.sparseInitializer) yield* locationsUnder(field, SPARSE_TENSOR.values);
  else if (field.tag === GRAPH.node) yield* locationsInNode(field);
}

/** Those of the tensors in the attributes of a node, as Constant has one. */
export function* locationsInNode(field: WireReader): Generator<string, void> {
  const node = field.enter();
  while (node.next()) {
    if (node.tag === NODE.attribute) yield* locationsUnder(node, ATTRIBUTE.t);
  }
}

function* locationsUnder(field: WireReader, tensor: number): Generator<string, void> {
  const message = field.enter();
  while (message.next()) {
    if (message.tag === tensor) yield* locationOf(message);
  }
}

function* locationOf(field: WireReader): Generator<string, void> {
  const { location } = readTensor(field);
  if (location !== undefined) yield location;
}
