/** Models that a test writes node by node, with the names of all values. */
import { ONNX_DTYPE } from '../../lib/graph/types.js';
import {
  type AttributeMessage,
  ATTRIBUTE_TYPE,
  ModelProto,
  type NodeMessage,
  type ValueInfoMessage,
} from '../../lib/onnx/protobuf/proto.js';
import { encodeTensor } from '../../lib/onnx/protobuf/tensors.js';
import type { DType, Shape, TensorData } from '../../lib/tensor.js';

/** ONNX's number for tensors of texts. */
export const STRING = 8;

/** Declares a tensor. */
export const declared = (name: string, dtype: DType | typeof STRING, shape: Shape): ValueInfoMessage => ({
  name,
  type: {
    tensorType: {
      elemType: dtype === STRING ? STRING : ONNX_DTYPE[dtype],
      shape: { dim: shape.map((dim) => (typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim })) },
    },
  },
});

export const intAttribute = (name: string, i: number): AttributeMessage => ({
  name,
  type: ATTRIBUTE_TYPE.INT,
  i,
});

/** Makes a node: `node('Add', 'a b', 'c')`. */
export const node = (
  opType: string,
  inputs: string,
  outputs: string,
  ...attribute: AttributeMessage[]
): NodeMessage => ({
  opType,
  input: inputs.split(' ').filter(Boolean),
  output: outputs.split(' '),
  name: `node of ${outputs}`,
  attribute,
});

/** Makes a cast to a dtype. */
export const castNode = (input: string, output: string, to: DType | typeof STRING): NodeMessage =>
  node('Cast', input, output, intAttribute('to', to === STRING ? STRING : ONNX_DTYPE[to]));

/** A model of opset 17, by default with the input `x` (N, 4) and the output `y` (N, 4) of float32. */
export function smallModel(
  nodes: readonly NodeMessage[],
  {
    input = [declared('x', 'float32', ['N', 4])],
    output = [declared('y', 'float32', ['N', 4])],
    weights = {},
  }: {
    readonly input?: ValueInfoMessage[];
    readonly output?: ValueInfoMessage[];
    readonly weights?: Readonly<Record<string, TensorData>>;
  } = {},
): Uint8Array {
  const initializer = Object.entries(weights).map(([name, data]) => encodeTensor(name, data));
  return ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: { name: 'test', node: [...nodes], input, output, initializer },
  }).finish();
}
