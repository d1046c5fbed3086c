/** Gives a graph inputs and outputs of another float dtype than it computes in. */
import { GraphError } from '../errors.js';
import { type DType, FLOAT_DTYPES, type FloatDType, isFloatDType } from '../tensor.js';
import { int } from './attr.js';
import { type Graph, type Node, ONNX_DTYPE, requireGraph, Value } from './types.js';

/**
 * Returns the same graph with its float inputs and outputs in `dtype`, and Cast nodes to and from the dtype that it
 * computes in. With float32, a float16 model is fed and read in float32. Parameters keep their dtype.
 * @throws GraphError `INVALID_DTYPE` if `dtype` is not a float; `INVALID_GRAPH` if `graph` is not a finished graph.
 */
export function keepIo(graph: Graph, dtype: FloatDType): Graph {
  requireGraph('keepIo', graph);
  requireFloatDType(dtype);
  const freshName = nameMaker(graph);
  const boundary = [...graph.inputs, ...graph.outputs].filter(
    (value) => isFloatDType(value.dtype) && value.dtype !== dtype,
  );
  const outside = new Map(boundary.map((value) => [value, withType(value, value.name, dtype)]));
  const inside = new Map(
    boundary.map((value) => [
      value,
      withType(value, freshName(`/${value.name}/${value.dtype}`), value.dtype),
    ]),
  );
  const casts = (values: readonly Value[], from: Map<Value, Value>, to: Map<Value, Value>): Node[] =>
    values
      .filter((value) => outside.has(value))
      .map((value) => castNode(freshName(`/${value.name}/Cast`), from.get(value)!, to.get(value)!));
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((input) => input && (inside.get(input) ?? input)),
    outputs: node.outputs.map((output) => inside.get(output) ?? output),
  }));
  return {
    ...graph,
    inputs: graph.inputs.map((input) => outside.get(input) ?? input),
    outputs: graph.outputs.map((output) => outside.get(output) ?? output),
    nodes: [...casts(graph.inputs, outside, inside), ...nodes, ...casts(graph.outputs, inside, outside)],
  };
}

function requireFloatDType(dtype: FloatDType): void {
  if (isFloatDType(dtype)) return;
  throw new GraphError(
    'INVALID_DTYPE',
    `keepIo: '${String(dtype)}' is not a float; allowed: ${FLOAT_DTYPES.join(', ')}`,
  );
}

const withType = ({ owner, kind, shape }: Value, name: string, dtype: DType): Value =>
  new Value(owner, kind, name, dtype, shape);

const castNode = (name: string, from: Value, to: Value): Node => ({
  name,
  opType: 'Cast',
  inputs: [from],
  outputs: [to],
  attributes: { to: int(ONNX_DTYPE[to.dtype]) },
});

function nameMaker({ inputs, parameters, constants, nodes }: Graph): (base: string) => string {
  const taken = new Set([
    ...[...inputs, ...parameters, ...constants].map(({ name }) => name),
    ...nodes.flatMap(({ name, outputs }) => [name, ...outputs.map((output) => output.name)]),
  ]);
  return (base) => {
    let name = base;
    for (let count = 1; taken.has(name); count++) name = `${base}_${count}`;
    taken.add(name);
    return name;
  };
}
