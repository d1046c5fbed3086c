import { requireGraph, type Graph, type Value, type Weights } from '../graph/index.js';
import { castTensor, filledTensor } from '../half.js';
import { requireSeed } from '../options.js';
import { elementCount, tensor, type FloatDType, type TensorData } from '../tensor.js';
import { Random } from './random.js';

/**
 * Fills every parameter as PyTorch's modules do when they are made: each by its own `init`.
 * The distribution is PyTorch's, the numbers are not; the same seed gives the same numbers. Integers and bool are zeros
 * or ones.
 * @param seed An integer, of which the lowest 32 bits count.
 * @throws GraphError `INVALID_GRAPH`, OptionError `INVALID_OPTION`.
 */
export function initializeWeights(graph: Graph, seed = 0): Weights {
  requireGraph('initializeWeights', graph);
  requireSeed('initializeWeights', seed);
  return new Map(graph.parameters.map((parameter) => [parameter.name, initialize(parameter, seed)]));
}

function initialize({ name, dtype, shape, init = 'zeros' }: Value, seed: number): TensorData {
  const dims = shape as number[];
  if (typeof init === 'string') return filledTensor(dtype, dims, init === 'ones' ? 1 : 0);
  const values = new Float64Array(elementCount(dims));
  const random = new Random(seed, name);
  for (let i = 0; i < values.length; i++) values[i] = (2 * random.uniform(i) - 1) * init.uniform;
  return castTensor(tensor('float64', dims, values), dtype as FloatDType);
}
