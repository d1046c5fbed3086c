import { ModelProto } from '../../lib/onnx/protobuf/proto.js';

/** A model that declares some of its inputs and outputs without a shape: of any rank. */
export function withoutShapes(model: Uint8Array, names: readonly string[]): Uint8Array {
  const message = ModelProto.decode(model);
  for (const { name, type } of [...message.graph!.input!, ...message.graph!.output!]) {
    if (names.includes(name!)) delete type!.tensorType!.shape;
  }
  return ModelProto.encode(message).finish();
}
