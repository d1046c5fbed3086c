import type { Model } from '../onnx/model.js';

/**
 * Makes bfloat16 inputs and outputs of a model float32, for runtimes that cannot pass bfloat16 over their boundary.
 *
 *     x: bfloat16 → … → y: bfloat16
 *
 * becomes, without loss, for every bfloat16 is a float32,
 *
 *     x: float32 → Cast → … → Cast → y: float32
 *
 * @returns The names whose dtype changed: an empty set if the model is not modified.
 */
export function widenBfloat16(model: Model): Set<string> {
  const isBfloat16 = (name: string) => model.typeOf(name)?.dtype === 'bfloat16';
  const inputs = model.inputNames.filter(isBfloat16);
  const outputs = model.outputNames.filter(isBfloat16);
  model.castInputs(inputs, 'float32');
  model.castOutputs(outputs, 'float32');
  return new Set([...inputs, ...outputs]);
}
