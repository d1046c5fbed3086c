/** Initializes parameters as PyTorch does, with random numbers that other languages can make too. */
import { type Graph, requireGraph, type Value, type Weights } from '../graph/types.js';
import { castTensor, filledTensor } from '../half.js';
import { requireSeed } from '../options.js';
import { elementCount, type FloatDType, tensor, type TensorData } from '../tensor.js';

/**
 * A counter-based random number generator: a number depends on the seed, the stream and the position alone, so that
 * another language can make the same numbers in any order (`scripts/fixtures/values.py` does). The mixer is MurmurHash3's
 * 32-bit finaliser (Appleby 2011), applied once to each part.
 */
export class Random {
  readonly #key: number;

  /** @param seed An integer. @param stream Distinguishes sequences, for example a parameter's name. */
  constructor(seed: number, stream: string) {
    let key = mix(seed >>> 0);
    for (const byte of new TextEncoder().encode(stream)) key = mix(key ^ byte);
    this.#key = key;
  }

  /** Returns a uniform number in [0, 1), a multiple of 2⁻³². */
  uniform(position: number): number {
    return mix(this.#key ^ mix(position >>> 0)) / 2 ** 32;
  }

  /** Returns a standard normal number, by Box & Muller's transform of positions 2·position and 2·position + 1. */
  normal(position: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform(2 * position)));
    return radius * Math.cos(2 * Math.PI * this.uniform(2 * position + 1));
  }
}

function mix(value: number): number {
  let h = (value + 0x9e3779b9) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Initializes every parameter by its `init`, as the constructors of PyTorch's modules do. The distribution is PyTorch's,
 * the numbers are not; the same seed gives the same numbers. Integers and bool are zeros or ones.
 * @param seed An integer, of which the lowest 32 bits count. Default 0.
 * @returns One tensor for each parameter, of its shape and dtype.
 * @throws GraphError `INVALID_GRAPH`; OptionError `INVALID_OPTION` if the seed is not an integer.
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
