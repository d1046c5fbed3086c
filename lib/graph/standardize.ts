/** Weight standardisation. Source: Qiao et al. 2019, arXiv:1903.10520; `StdConv2d` of timm 1.0, `layers/std_conv.py`. */
import { castTensor, toFloat64Array } from '../half.js';
import { type FloatDType, tensor, type TensorData } from '../tensor.js';

/**
 * Returns the weight of a convolution with each output channel standardised: (w − mean) / √(variance + eps), with the biased
 * variance over all its elements. Computed in float64 and rounded once, whereas PyTorch computes it in the weight's dtype in
 * every forward.
 * @param weight (outChannels, C / groups, k, ...), any float.
 */
export function standardizeWeight(weight: TensorData, eps: number): TensorData {
  const { dtype, dims } = weight;
  const values = Float64Array.from(toFloat64Array(weight));
  const fanIn = values.length / dims[0]!;
  for (let start = 0; start < values.length; start += fanIn) {
    standardize(values.subarray(start, start + fanIn), eps);
  }
  return castTensor(tensor('float64', dims, values), dtype as FloatDType);
}

function standardize(channel: Float64Array, eps: number): void {
  const mean = sum(channel) / channel.length;
  for (let i = 0; i < channel.length; i++) channel[i]! -= mean;
  const variance = sum(channel.map((value) => value * value)) / channel.length;
  const factor = Math.sqrt(variance + eps);
  for (let i = 0; i < channel.length; i++) channel[i]! /= factor;
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
