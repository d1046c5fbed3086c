import type { ModelToLoad } from '../../lib/runtime/core/contract.js';

/** A model whose weights are inside, and whose inputs and outputs have shapes. */
export const modelToLoad = (bytes: Uint8Array): ModelToLoad => ({
  bytes,
  unranked: new Set(),
  externalLocations: [],
  wrongOptimizers: [],
  hasNormBetweenConvolutions: false,
});
