/** What a rewrite leaves behind without a reader: runtimes drop it, a file would keep it. */
import type { Model } from '../onnx/model.js';

/** Names by the values that nodes and callers read. */
export type ReadNames = ReadonlySet<string>;

/** The values that are read in a model's graph. */
export const readNames = (model: Model): ReadNames =>
  new Set([...model.outputNames, ...model.nodes.flatMap(({ inputs }) => inputs)]);

/**
 * Takes out the nodes, weights and declarations of values that were read and are not any more; what nobody read
 * before stays, for the model came with it.
 * @param before What was read before the rewrite.
 */
export function removeLeftovers(model: Model, before: ReadNames): void {
  // The body of an If or Loop may read any value of the graph, which `nodes` does not show.
  if (model.nestedOpTypes().size > 0) return;
  const dropped = unreadNodes(model, before);
  model.replaceNodes(({ outputs }) => (dropped.has(outputs[0]!) ? { nodes: [], constants: [] } : undefined));
  const now = readNames(model);
  model.removeDeclared((name) => before.has(name) && !now.has(name));
}

/** By their first results. A node comes before those that read it: from the last one on, each is decided once. */
function unreadNodes(model: Model, before: ReadNames): Set<string> {
  const dropped = new Set<string>();
  const read = new Set(model.outputNames);
  for (const { inputs, outputs } of model.nodes.reverse()) {
    const [first] = outputs;
    if (first && before.has(first) && !outputs.some((name) => read.has(name))) dropped.add(first);
    else for (const name of inputs) read.add(name);
  }
  return dropped;
}
