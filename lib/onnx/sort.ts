/** The order of nodes: each after the nodes whose results it reads, as ONNX asks for. Not every writer keeps to it. */
import { ModelError } from '../errors.js';
import type { ModelNode } from './node.js';

/** A node, and the values that the bodies in it read from outside of them. */
export interface SortableNode {
  readonly node: ModelNode;
  readonly inner: { readonly reads: Iterable<string> } | undefined;
}

/**
 * Returns nodes in an order in which they can run. Nodes that are in such an order keep it. Of others, each node comes
 * where it stood, right behind the nodes that it needs and that stood later.
 * @throws ModelError `MODEL_INVALID` if nodes form a cycle.
 */
export function sortNodes<Entry extends SortableNode>(entries: readonly Entry[], where: string): Entry[] {
  const needs = neededNodes(entries);
  const sorted: Entry[] = [];
  const isPlaced = entries.map(() => false);
  const isWaiting = entries.map(() => false);
  for (const start of entries.keys()) {
    // A list and not a recursion: a chain of nodes may be longer than the stack is deep.
    const waiting = isPlaced[start] ? [] : [start];
    while (waiting.length > 0) {
      const at = waiting.at(-1)!;
      isWaiting[at] = true;
      const unplaced = needs[at]!;
      while (unplaced.length > 0 && isPlaced[unplaced.at(-1)!]) unplaced.pop();
      const next = unplaced.at(-1);
      if (next === undefined) {
        sorted.push(entries[at]!);
        isPlaced[at] = true;
        waiting.pop();
      } else if (isWaiting[next]) {
        const cycle = waiting.slice(waiting.indexOf(next)).map((index) => entries[index]!.node);
        throw new ModelError('MODEL_INVALID', `${where}: ${describeCycle(cycle)}`);
      } else waiting.push(next);
    }
  }
  return sorted;
}

/** Returns for each node the indices of the nodes that it needs, the one of its first input last. */
function neededNodes(entries: readonly SortableNode[]): number[][] {
  const producers = new Map<string, number>();
  for (const [index, { node }] of entries.entries()) {
    for (const name of node.outputs) if (name && !producers.has(name)) producers.set(name, index);
  }
  return entries.map(({ node, inner }) =>
    [...node.inputs, ...(inner?.reads ?? [])].flatMap((name) => producers.get(name) ?? []).reverse(),
  );
}

/** A longer cycle is cut short in the message. */
const MAX_SHOWN = 5;

/** @param cycle Each node reads a result of the next one, and the last node a result of the first. */
function describeCycle(cycle: readonly ModelNode[]): string {
  const shown = cycle
    .slice(0, MAX_SHOWN)
    .map(({ opType, name, outputs }) => `${opType} '${name || outputs[0]}'`);
  const others = cycle.length - shown.length;
  const path = [...shown, ...(others > 0 ? [`${others} more nodes`] : []), shown[0]!].join(
    ', which reads from ',
  );
  return `the nodes form a cycle, so that no node of it can run first: ${path}. Export the model again`;
}
