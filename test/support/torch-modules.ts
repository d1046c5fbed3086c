import { ModelProto } from '../../lib/onnx/protobuf/proto.js';

/** Returns the path of a sample of `scripts/samples/make_module_samples.py`. */
export const TORCH_MODULES = (name: string): string => `test/samples/modules/${name}`;

/** Returns a model with the first element of one weight multiplied; all other bytes stay. */
export function withScaledWeight(model: Uint8Array, name: string, factor: number): Uint8Array {
  const { graph } = ModelProto.decode(model);
  const { rawData } = graph!.initializer!.find((one) => one.name === name)!;
  const changed = Buffer.from(model);
  const place = changed.indexOf(rawData!);
  changed.writeFloatLE(changed.readFloatLE(place) * factor, place);
  return changed;
}
