/** The one door to protobuf. onnx-proto carries ONNX 1.10's schema; later opsets and IR versions are only numbers to it. */
import onnxProto from 'onnx-proto';
import type { onnx } from 'onnx-proto';

const { AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto } = onnxProto.onnx;
export { GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto };

export type AttributeMessage = onnx.IAttributeProto;
export type ModelMessage = onnx.IModelProto;
export type NodeMessage = onnx.INodeProto;
export type TensorMessage = onnx.ITensorProto;
export type ValueInfoProto = onnx.IValueInfoProto;

/** Source: onnx.proto. */
export const ATTRIBUTE_TYPE = AttributeProto.AttributeType;
