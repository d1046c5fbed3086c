/** The model that the benchmarks time, and the options of the sessions that run it. */
import { getGraph } from '../graphs/registry.js';
import {
  encodeModel,
  type FloatDType,
  initializeWeights,
  type LoweringName,
  type SessionOptions,
} from '../lib/index.js';

export const NATIVE: SessionOptions = { providers: ['native'] };

/** onnxruntime-node on the CPU; the benchmarks end no thread in a run. */
export const CPU = { name: 'cpu', allowInWorker: true } as const;

/** Returns options for onnxruntime-node: `cpu`, with a named way to run GroupNormalization. */
export const ortNode = (groupNorm: LoweringName): SessionOptions => ({ providers: [CPU], groupNorm });

export const NUM_GROUPS = 32;

/** Returns a model of GroupNorm for one shape, with input `x` and output `y`. */
export function groupNormModel(
  shape: readonly number[],
  lowering: LoweringName = 'op',
  dtype: FloatDType = 'float32',
): Uint8Array {
  const options = { numGroups: NUM_GROUPS, numChannels: shape[1]! };
  const graph = getGraph('group-norm').build(options, { shape, dtype });
  return encodeModel(graph, initializeWeights(graph), { opset: 21, lowering });
}

/** Returns the size of a float32 tensor, such as `5.2 MB`. */
export const megabytes = (shape: readonly number[]): string =>
  `${((4 * shape.reduce((a, b) => a * b)) / 1e6).toFixed(1)} MB`;
