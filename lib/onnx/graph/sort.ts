/** The order of nodes: each after the nodes whose results it reads, as ONNX asks for. Not every writer keeps to it. */
import { ModelError } from '../../errors.js';
import type { ModelNode } from './node.js';

/** A node, and the values that the bodies in it read from outside of them. */
export interface SortableNode {
  readonly node: ModelNode;
  readonly inner: { readonly reads: Iterable<string> } | undefined;
}

/**
 * Returns nodes in an order in which they can run. Nodes that are in such an order keep it. Of others, each node comes
 * where it stood, right behind the nodes that it needs and that stood later.
 * @throws ModelError `MODEL_INVALID` if nodes form a cycle, or two results have one name.
 */
export function sortNodes<Entry extends SortableNode>(entries: readonly Entry[], where: string): Entry[] {
  const producers = producersOf(entries, where);
  const sorted: Entry[] = [];
  const isPlaced = new Uint8Array(entries.length);
  const isWaiting = new Uint8Array(entries.length);
  for (const start of entries.keys()) {
    if (isPlaced[start]) continue;
    // A list and not a recursion: a chain of nodes may be longer than the stack is deep.
    const waiting = [{ at: start, reads: readsOf(entries[start]!) }];
    isWaiting[start] = 1;
    while (waiting.length > 0) {
      const { at, reads } = waiting.at(-1)!;
      const next = nextUnplaced(reads, producers, isPlaced);
      if (next === undefined) {
        sorted.push(entries[at]!);
        isPlaced[at] = 1;
        waiting.pop();
      } else if (isWaiting[next]) {
        const path = waiting.map((entry) => entry.at);
        const cycle = path.slice(path.indexOf(next)).map((index) => entries[index]!.node);
        throw new ModelError('MODEL_INVALID', `${where}: ${describeCycle(cycle)}`);
      } else {
        isWaiting[next] = 1;
        waiting.push({ at: next, reads: readsOf(entries[next]!) });
      }
    }
  }
  return sorted;
}

/** Yields the values that a node reads. */
function* readsOf({ node, inner }: SortableNode): Generator<string, void> {
  yield* node.inputs;
  if (inner) yield* inner.reads;
}

/** Returns the node of the next value that comes from a node which is not placed yet. */
function nextUnplaced(
  reads: Generator<string, void>,
  producers: ReadonlyMap<string, number>,
  isPlaced: Uint8Array,
): number | undefined {
  for (let read = reads.next(); !read.done; read = reads.next()) {
    const producer = producers.get(read.value);
    if (producer !== undefined && !isPlaced[producer]) return producer;
  }
  return undefined;
}

/** Returns the index of the node that makes each value. */
function producersOf(entries: readonly SortableNode[], where: string): Map<string, number> {
  const producers = new Map<string, number>();
  for (const [index, { node }] of entries.entries()) {
    for (const name of node.outputs) {
      if (name === '') continue;
      if (producers.has(name))
        throw new ModelError('MODEL_INVALID', `${where}: two results of nodes have the name '${name}'`);
      producers.set(name, index);
    }
  }
  return producers;
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
