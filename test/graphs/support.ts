import { expect } from 'chai';
import { getGraph } from '../../graphs/registry.js';
import { GraphError, type OnnxGroupNormError, OptionError } from '../../lib/errors.js';
import type { Graph, Value } from '../../lib/graph/types.js';
import { DEFAULT_OPSET } from '../../lib/lowering/choose.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { createSession } from '../../lib/runtime/node.js';
import type { Shape, TensorData } from '../../lib/tensor.js';
import { initializeWeights } from '../../lib/weights/initialize.js';

/** `{ weight: [8], bias: [8] }`: names and shapes, in order. */
export const shapesOf = (values: readonly Value[]): Record<string, Shape> =>
  Object.fromEntries(values.map(({ name, shape }) => [name, shape]));

/** Runs a graph on `x`, its weights being PyTorch's default initialisation. */
export async function runGraph(
  graph: Graph,
  x: TensorData,
  opset = DEFAULT_OPSET,
): Promise<Record<string, TensorData>> {
  const session = await createSession(encodeModel(graph, initializeWeights(graph), { opset }));
  try {
    return await session.run({ x });
  } finally {
    await session.dispose();
  }
}

/** The error that building a graph of the registry throws. */
export function refusal(name: string, options: Record<string, unknown>, shape?: Shape): OnnxGroupNormError {
  try {
    getGraph(name).build(options, { shape });
  } catch (error) {
    expect(error).to.satisfy((it: unknown) => it instanceof GraphError || it instanceof OptionError);
    return error as OnnxGroupNormError;
  }
  throw new Error('nothing was thrown');
}
