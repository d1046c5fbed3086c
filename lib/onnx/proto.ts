/** The one door to protobuf. onnx-proto carries ONNX 1.10's schema; later opsets and IR versions are only numbers to it. */
import onnxProto from 'onnx-proto';
import type { onnx } from 'onnx-proto';

const { AttributeProto, GraphProto, ModelProto, TensorProto } = onnxProto.onnx;
export { GraphProto, ModelProto, TensorProto };

export type AttributeMessage = onnx.IAttributeProto;
export type GraphMessage = onnx.IGraphProto;
export type ModelMessage = onnx.IModelProto;
export type NodeProto = onnx.INodeProto;
export type TensorMessage = onnx.ITensorProto;
export type ValueInfoProto = onnx.IValueInfoProto;

/** Source: onnx.proto. */
export const ATTRIBUTE_TYPE = AttributeProto.AttributeType;

/** Whether a tensor's bytes lie in another file. Source: onnx.proto, `TensorProto.DataLocation`. */
export const isExternal = ({ dataLocation }: TensorMessage): boolean =>
  dataLocation === TensorProto.DataLocation.EXTERNAL;

/** protobuf.js gives 64-bit integers as objects; those of a model (dims, opsets, attributes) are within 2^53. */
export const toNumber = (value: unknown): number => Number(value?.toString() ?? 0);
