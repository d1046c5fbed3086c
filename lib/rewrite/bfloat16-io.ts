import type { Model } from '../onnx/model.js';

/**
 * Makes a model's bfloat16 inputs and outputs float32, with casts inside, for runtimes that cannot pass
 * bfloat16 over their boundary. Nothing is lost: every bfloat16 is a float32.
 * @returns The names whose dtype changed.
 */
export function widenBfloat16(model: Model): Set<string> {
  const isBfloat16 = (name: string) => model.typeOf(name)?.dtype === 'bfloat16';
  const inputs = model.inputNames.filter(isBfloat16);
  const outputs = model.outputNames.filter(isBfloat16);
  for (const name of inputs) model.castInput(name, 'float32');
  for (const name of outputs) model.castOutput(name, 'float32');
  return new Set([...inputs, ...outputs]);
}
