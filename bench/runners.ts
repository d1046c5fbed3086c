/** What is timed: GroupNorm as a model, and those who run it. */
import { getGraph } from '../graphs/registry.js';
import { encodeModel, initializeWeights, type LoweringName, type SessionOptions } from '../lib/index.js';

export const NATIVE: SessionOptions = { providers: ['native'] };

/** onnxruntime-node: `cpu` with a way to run GroupNormalization named. */
export const ortNode = (groupNorm: LoweringName): SessionOptions => ({ providers: ['cpu'], groupNorm });

export const NUM_GROUPS = 32;

/** GroupNorm over float32 of one shape, input `x`, output `y`. */
export function groupNormModel(shape: readonly number[], lowering: LoweringName = 'op'): Uint8Array {
  const graph = getGraph('group-norm').build({ numGroups: NUM_GROUPS, numChannels: shape[1]! }, { shape });
  return encodeModel(graph, initializeWeights(graph), { opset: 21, lowering });
}

/** How much a float32 tensor holds. */
export const megabytes = (shape: readonly number[]): string =>
  `${((4 * shape.reduce((a, b) => a * b)) / 1e6).toFixed(1)} MB`;
