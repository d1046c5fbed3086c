import type { Fragment } from '../lowering/index.js';
import { encodeNode } from './operators.js';
import { NodeProto, TensorProto } from './proto.js';
import { encodeTensor } from './tensors.js';

/** A fragment at an opset, as the bytes of NodeProtos and TensorProtos. */
export function encodeFragment(
  { nodes, constants }: Fragment,
  opset: number,
): { readonly nodes: Uint8Array[]; readonly initializers: Uint8Array[] } {
  const encoded = nodes.map((node) => encodeNode(node, opset));
  const tensors = [
    ...constants.map((constant) => encodeTensor(constant.name, constant.data!)),
    ...encoded.flatMap(({ initializers }) => initializers),
  ];
  return {
    nodes: encoded.map(({ node }) => NodeProto.encode(node).finish()),
    initializers: tensors.map((message) => TensorProto.encode(message).finish()),
  };
}
