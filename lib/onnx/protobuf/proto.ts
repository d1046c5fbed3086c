/**
 * onnx-proto's classes, which write ONNX's messages: the only import of protobuf. They have ONNX 1.10's schema, for which
 * later opsets and IR versions are only numbers.
 */
import onnxProto from 'onnx-proto';
import type { onnx } from 'onnx-proto';

const { AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto } =
  onnxProto.onnx;
export { AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto };

export type AttributeMessage = onnx.IAttributeProto;
export type ModelMessage = onnx.IModelProto;
export type NodeMessage = onnx.INodeProto;
export type TensorMessage = onnx.ITensorProto;
export type ValueInfoMessage = onnx.IValueInfoProto;

/** The types of attributes, by name. */
export const ATTRIBUTE_TYPE = AttributeProto.AttributeType;
