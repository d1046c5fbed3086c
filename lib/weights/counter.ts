/** Makes weights that a fixture need not hold. */
import { GraphError } from '../errors.js';
import { type Graph, requireGraph, type Value, type Weights } from '../graph/types.js';
import { castTensor } from '../half.js';
import { requireSeed } from '../options.js';
import { elementCount, FLOAT_DTYPES, isFloatDType, tensor, type TensorData } from '../tensor.js';
import { Random } from './initialize.js';

/**
 * Makes weights by a rule that other languages can follow too (`scripts/fixtures/values.py` does), so that a fixture of
 * a large network need not hold them. Unlike an initialisation, no weight is 0 or 1, with which a wrong graph could pass.
 *
 * With s uniform in [−1, 1): weights of rank 2 or more are s · √(3 / fanIn), whose variance is 1 / fanIn, where fanIn
 * is the product of all dimensions but the first; a vector named `weight` is 1 + s / 2, and any other vector s / 10.
 * @param seed An integer, of which the lowest 32 bits count.
 * @returns One tensor for each parameter, of its shape and dtype.
 * @throws GraphError `INVALID_GRAPH`, `INVALID_DTYPE` if a parameter is not a float; OptionError `INVALID_OPTION` if
 *   the seed is not an integer.
 */
export function counterWeights(graph: Graph, seed: number): Weights {
  requireGraph('counterWeights', graph);
  requireSeed('counterWeights', seed);
  return new Map(graph.parameters.map((parameter) => [parameter.name, fill(parameter, seed)]));
}

function fill({ name, dtype, shape }: Value, seed: number): TensorData {
  if (!isFloatDType(dtype)) {
    throw new GraphError(
      'INVALID_DTYPE',
      `counterWeights: parameter '${name}' is ${dtype}, but the rule is for floats: ${FLOAT_DTYPES.join(', ')}`,
    );
  }
  const dims = shape as number[];
  const { offset, factor } = ruleFor(name, dims);
  const random = new Random(seed, name);
  const values = new Float64Array(elementCount(dims));
  for (let i = 0; i < values.length; i++) values[i] = offset + (2 * random.uniform(i) - 1) * factor;
  return castTensor(tensor('float64', dims, values), dtype);
}

function ruleFor(name: string, dims: readonly number[]): { offset: number; factor: number } {
  if (dims.length >= 2) return { offset: 0, factor: Math.sqrt(3 / elementCount(dims.slice(1))) };
  return /(^|\.)weight$/.test(name) ? { offset: 1, factor: 0.5 } : { offset: 0, factor: 0.1 };
}
