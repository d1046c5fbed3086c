/** The names in a graph's fields. */
import { GRAPH, NODE, SPARSE_TENSOR, TENSOR, VALUE_INFO } from './schema.js';
import type { WireReader } from './wire.js';

const NAME_OF: ReadonlyMap<number, number> = new Map([
  [GRAPH.input, VALUE_INFO.name],
  [GRAPH.output, VALUE_INFO.name],
  [GRAPH.valueInfo, VALUE_INFO.name],
  [GRAPH.initializer, TENSOR.name],
]);

/** The names of the values that a field of a graph brings into being: the outputs of a node, an input, a tensor. */
export function* definedNames(field: WireReader): Generator<string, void> {
  if (field.tag === GRAPH.node) yield* texts(field.enter(), NODE.output);
  else if (field.tag === GRAPH.sparseInitializer) yield* sparseNames(field.enter());
  else if (field.tag === GRAPH.input || field.tag === GRAPH.initializer) yield nameIn(field);
}

/** All names in a field of a graph, of values and of nodes: those that a new one must differ from. */
export function* takenNames(field: WireReader): Generator<string, void> {
  if (field.tag === GRAPH.node) yield* texts(field.enter(), NODE.name, NODE.output);
  else if (field.tag === GRAPH.valueInfo || field.tag === GRAPH.output) yield nameIn(field);
  else yield* definedNames(field);
}

/** The name of the value or tensor that a field of a graph declares. */
export function nameIn(field: WireReader): string {
  const tag = NAME_OF.get(field.tag)!;
  let name = '';
  for (const text of texts(field.enter(), tag)) name = text;
  return name;
}

function* texts(message: WireReader, ...tags: readonly number[]): Generator<string, void> {
  while (message.next()) {
    if (tags.includes(message.tag)) yield message.text();
  }
}

function* sparseNames(sparse: WireReader): Generator<string, void> {
  while (sparse.next()) {
    if (sparse.tag === SPARSE_TENSOR.values) yield* texts(sparse.enter(), TENSOR.name);
  }
}
