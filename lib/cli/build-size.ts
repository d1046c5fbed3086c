/** Whether what is to be built can be, before its weights are made or read. */
import { totalmem } from 'node:os';
import type { Graph } from '../graph/index.js';
import { parameterBytes, requireParametersFit } from '../onnx/encode.js';
import { formatBytes } from './format.js';
import { UsageError } from './usage-error.js';

/**
 * @param memory Bytes that this machine has.
 * @throws ModelError `MODEL_TOO_LARGE` for more than a file holds, without external data; UsageError for more than
 *   the machine's memory.
 */
export function requireFits(graph: Graph, externalData: boolean | undefined, memory = totalmem()): void {
  const bytes = parameterBytes(graph);
  if (bytes > memory) {
    throw new UsageError(
      `graph '${graph.name}' has ${formatBytes(bytes)} of weights, and this machine ${formatBytes(memory)} of ` +
        'memory: choose smaller options',
    );
  }
  if (!externalData) requireParametersFit(graph);
}
