/** PyTorch's layers as nodes: each declares its parameters under the module's own state_dict keys. */
export { conv, convTranspose, sharedConv } from './convolution.js';
export { affineParameters, batchNorm, groupNorm, instanceNorm, layerNorm } from './normalization.js';
export { maxPool, upsampleNearest } from './resampling.js';
