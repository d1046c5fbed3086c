/** Builds the model that the form describes. */
import {
  elementCount,
  encodeModel,
  formatShape,
  getGraph,
  type Graph,
  type LoweringName,
  type Value,
} from '../../lib/browser.js';
import { lowerGraph } from '../../lib/lowering/lower.js';
import { irVersionFor } from '../../lib/onnx/encode.js';
import type { BuildResult, ModelSpec, ModelSummary, ValueSummary } from '../protocol.js';
import { progress } from './progress.js';
import { loadWeights } from './weights.js';

export interface Network {
  readonly graph: Graph;
  /** Encodes the model with every GroupNorm lowered in one way. */
  readonly encode: (lowering: LoweringName) => Uint8Array;
}

/** Builds a graph and loads its parameters. @throws The library's errors, whose messages are shown as they are. */
export async function buildNetwork({
  graph: name,
  options,
  dtype,
  opset,
  weights,
}: ModelSpec): Promise<Network> {
  progress(`building ${name}`);
  const graph = getGraph(name).build(options, { dtype });
  progress('loading the parameters');
  const parameters = await loadWeights(graph, weights);
  return { graph, encode: (lowering) => encodeModel(graph, parameters, { opset, lowering }) };
}

export async function buildTask(spec: ModelSpec): Promise<BuildResult> {
  const { graph, encode } = await buildNetwork(spec);
  progress('writing the model');
  const bytes = new Uint8Array(encode(spec.lowering));
  return { summary: summarize(graph, spec, bytes.byteLength), bytes };
}

function summarize(graph: Graph, { opset, lowering }: ModelSpec, bytes: number): ModelSummary {
  const counts = new Map<string, number>();
  for (const { opType } of lowerGraph(graph, lowering, opset).nodes) {
    counts.set(opType, (counts.get(opType) ?? 0) + 1);
  }
  return {
    graph: graph.name,
    bytes,
    opset,
    irVersion: irVersionFor(opset),
    lowering,
    operators: [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b)),
    parameterTensors: graph.parameters.length,
    parameterElements: graph.parameters.reduce((sum, { shape }) => sum + elementCount(shape as number[]), 0),
    inputs: graph.inputs.map(describe),
    outputs: graph.outputs.map(describe),
  };
}

const describe = ({ name, dtype, shape }: Value): ValueSummary => ({
  name,
  type: `${dtype} ${formatShape(shape)}`,
});
