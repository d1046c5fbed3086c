/** Models with GroupNormalization in bodies and local functions, out of plain messages. */
import {
  ATTRIBUTE_TYPE,
  type AttributeMessage,
  type ModelMessage,
  ModelProto,
  type NodeMessage,
} from '../../lib/onnx/protobuf/proto.js';
import { encodeTensor } from '../../lib/onnx/protobuf/tensors.js';
import { encodeValueInfo } from '../../lib/onnx/graph/value-info.js';
import type { DType, Shape, TensorData } from '../../lib/tensor.js';

type Graph = NonNullable<ModelMessage['graph']>;
type LocalFunction = NonNullable<ModelMessage['functions']>[number];

export const node = (
  opType: string,
  input: string[],
  output: string[],
  ...attribute: AttributeMessage[]
): NodeMessage => ({ opType, name: `/${output[0]}/${opType}`, input, output, attribute });

export const int = (name: string, i: number): AttributeMessage => ({ name, type: ATTRIBUTE_TYPE.INT, i });
export const float = (name: string, f: number): AttributeMessage => ({ name, type: ATTRIBUTE_TYPE.FLOAT, f });
export const graph = (name: string, g: Graph): AttributeMessage => ({ name, type: ATTRIBUTE_TYPE.GRAPH, g });
/** An attribute that stands for one of the function around the node. */
export const reference = (name: string, type: 'INT' | 'FLOAT', refAttrName: string): AttributeMessage => ({
  name,
  type: ATTRIBUTE_TYPE[type],
  refAttrName,
});

export const groupNorm = (
  [x, scale, bias]: [string, string, string],
  output: string,
  numGroups: number,
  ...others: AttributeMessage[]
): NodeMessage =>
  node('GroupNormalization', [x, scale, bias], [output], int('num_groups', numGroups), ...others);

export const constant = (name: string, data: TensorData): NodeMessage =>
  node('Constant', [], [name], { name: 'value', type: ATTRIBUTE_TYPE.TENSOR, t: encodeTensor(name, data) });

/** A body, whose inputs and outputs have no types. */
export const body = (nodes: NodeMessage[], inputs: string[], outputs: string[], more: Graph = {}): Graph => ({
  name: 'body',
  node: nodes,
  input: inputs.map((name) => ({ name })),
  output: outputs.map((name) => ({ name })),
  ...more,
});

/** A local function of the domain `my`. */
export const localFunction = (
  name: string,
  nodes: NodeMessage[],
  input: string[],
  output: string[],
  more: LocalFunction = {},
): LocalFunction => ({
  name,
  domain: 'my',
  node: nodes,
  input,
  output,
  opsetImport: [
    { domain: '', version: 21 },
    { domain: 'my', version: 1 },
  ],
  ...more,
});

export const call = (
  name: string,
  ...rest: Parameters<typeof node> extends [string, ...infer R] ? R : never
) => ({
  ...node(name, ...rest),
  domain: 'my',
});

/** A model whose inputs are tensors of float32, and whose outputs have unknown sizes. */
export function model(
  nodes: NodeMessage[],
  inputs: Readonly<Record<string, Shape>>,
  outputs: Readonly<Record<string, number>>,
  {
    weights = {},
    functions = [],
    opset = 21,
    dtypes = {},
    ...more
  }: {
    weights?: Readonly<Record<string, TensorData>>;
    functions?: LocalFunction[];
    opset?: number;
    dtypes?: Readonly<Record<string, DType>>;
  } & Graph = {},
): Uint8Array {
  const declare = (name: string, shape: Shape) =>
    encodeValueInfo({ name, dtype: dtypes[name] ?? 'float32', shape });
  return ModelProto.encode({
    irVersion: 10,
    opsetImport: [
      { domain: '', version: opset },
      { domain: 'my', version: 1 },
    ],
    graph: {
      name: 'main',
      node: nodes,
      input: Object.entries(inputs).map(([name, shape]) => declare(name, shape)),
      output: Object.entries(outputs).map(([name, rank]) => declare(name, Array<string>(rank).fill('?'))),
      initializer: Object.entries(weights).map(([name, data]) => encodeTensor(name, data)),
      ...more,
    },
    functions,
  }).finish();
}
