/** Nodes, weights and declared types that no output needs. ONNX Runtime runs such nodes, and files keep them. */
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { outputOf, REMOVED } from './patterns.js';

/** Names of the values that nodes, bodies of control flow, or the callers of the model read. */
type ReadNames = ReadonlySet<string>;

/** Returns the names of all values that are read in a model's graph. */
export function readNames(model: Model): ReadNames {
  const names = new Set(model.outputNames);
  for (const node of model.nodes) for (const name of model.index.readsOf(node)) names.add(name);
  return names;
}

/**
 * Removes nodes, weights and declared types that a rewrite has made dead: values that were read before the rewrite, and are
 * not read any more. Values that were dead before stay, and so do calls of local functions.
 * @param before The result of {@link readNames} before the rewrite.
 * @returns Whether the model was modified.
 */
export function removeDeadCode(model: Model, before: ReadNames): boolean {
  const dead = deadNodes(model, before);
  const removedNodes = model.replaceNodes((node) => (dead.has(outputOf(node)) ? REMOVED : undefined));
  const now = readNames(model);
  const removedValues = model.removeDeclared((name) => before.has(name) && !now.has(name));
  return removedNodes + removedValues > 0;
}

/**
 * Removes all outputs but some, and every node and weight that these do not need. The inputs stay.
 * @returns Whether a node was removed.
 */
export function keepOutputs(model: Model, kept: ReadonlySet<string>): boolean {
  model.removeOutputs((name) => !kept.has(name));
  const live = new Set<ModelNode>();
  const read = new Set(model.outputNames);
  for (const node of [...model.nodes].reverse()) {
    if (!node.outputs.some((name) => read.has(name))) continue;
    live.add(node);
    for (const name of model.index.readsOf(node)) read.add(name);
  }
  const removed = model.removeNodes((node) => !live.has(node));
  model.removeDeclared((name) => !read.has(name));
  return removed > 0;
}

/** Returns the first outputs of dead nodes. A node comes before its readers (`Model`), so one pass from the end finds them all. */
function deadNodes(model: Model, before: ReadNames): Set<string> {
  const dead = new Set<string>();
  const read = new Set(model.outputNames);
  for (const node of [...model.nodes].reverse()) {
    const { outputs } = node;
    const [first] = outputs;
    const wasRead = first !== undefined && before.has(first) && !model.isFunctionCall(node);
    if (wasRead && !outputs.some((name) => read.has(name))) dead.add(first);
    else for (const name of model.index.readsOf(node)) read.add(name);
  }
  return dead;
}
