import { GraphError } from '../errors.js';
import type { Graph } from './types.js';

const LISTS = ['inputs', 'outputs', 'parameters', 'constants', 'nodes'] as const;

/**
 * @param where What takes the graph, for the message: `encodeModel`.
 * @throws GraphError `INVALID_GRAPH` if `graph` is not a finished graph: nothing at all, or a builder that was not built.
 */
export function requireGraph(where: string, graph: Graph): void {
  if (typeof graph === 'object' && graph !== null && LISTS.every((list) => Array.isArray(graph[list])))
    return;
  throw new GraphError(
    'INVALID_GRAPH',
    `${where}: ${kindOf(graph)} is not a graph; give what a GraphBuilder's build() returns, or getGraph(name).build()`,
  );
}

const kindOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value);
