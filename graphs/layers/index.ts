/** PyTorch's layers as nodes: each declares its parameters under the module's own state_dict keys. */
export {
  conv,
  convTranspose,
  sharedConv,
  type ConvOptions,
  type ConvTransposeOptions,
} from './convolution.js';
export {
  affineParameters,
  batchNorm,
  groupNorm,
  instanceNorm,
  layerNorm,
  type Affine,
  type GroupNormOptions,
  type NormOptions,
} from './normalization.js';
export { maxPool, upsampleNearest, type MaxPoolOptions } from './resampling.js';
