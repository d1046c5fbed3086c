/**
 * Every operator, by its ONNX name in camelCase: the public namespace `op`.
 * @module
 */
export {
  gelu,
  leakyRelu,
  mish,
  relu,
  sigmoid,
  silu,
  softmax,
  tanh,
  type GeluOptions,
  type LeakyReluOptions,
  type SoftmaxOptions,
} from './activation.js';
export {
  add,
  cast,
  clip,
  cos,
  div,
  exp,
  identity,
  log,
  mul,
  sin,
  sqrt,
  sub,
  where,
  type ClipOptions,
} from './arithmetic.js';
export {
  reduceMean,
  reduceProd,
  squeeze,
  transpose,
  unsqueeze,
  type ReduceOptions,
  type SqueezeOptions,
  type TransposeOptions,
  type UnsqueezeOptions,
} from './axes.js';
export { conv, convTranspose, type ConvOptions, type ConvTransposeOptions } from './convolution.js';
export {
  batchNormalization,
  groupNormalization,
  instanceNormalization,
  layerNormalization,
  type GroupNormalizationOptions,
  type LayerNormalizationOptions,
  type NormalizationOptions,
} from './normalization.js';
export {
  averagePool,
  globalAveragePool,
  maxPool,
  type AveragePoolOptions,
  type MaxPoolOptions,
} from './pooling.js';
export { gemm, matMul, type GemmOptions } from './products.js';
export {
  expand,
  flatten,
  reshape,
  shape,
  type ExpandOptions,
  type FlattenOptions,
  type ReshapeOptions,
} from './reshaping.js';
export { pad, resize, type PadOptions, type ResizeOptions } from './resizing.js';
export {
  concat,
  gather,
  slice,
  split,
  type ConcatOptions,
  type GatherOptions,
  type SliceOptions,
  type SplitOptions,
} from './slicing.js';
