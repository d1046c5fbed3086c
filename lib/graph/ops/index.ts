/** Every operator, by its ONNX name in camelCase: the public namespace `op`. */
export { conv, convTranspose, type ConvOptions, type ConvTransposeOptions } from './convolution.js';
export {
  add,
  cast,
  clip,
  div,
  identity,
  leakyRelu,
  mul,
  relu,
  sigmoid,
  silu,
  sqrt,
  sub,
  tanh,
  type ClipOptions,
  type LeakyReluOptions,
} from './elementwise.js';
export { expand, type ExpandOptions } from './reshaping.js';
export { gelu, type GeluOptions } from './activation.js';
export { flatten, gemm, type FlattenOptions, type GemmOptions } from './linear.js';
export { matMul } from './linear.js';
export {
  batchNormalization,
  groupNormalization,
  instanceNormalization,
  layerNormalization,
  type GroupNormalizationOptions,
  type LayerNormalizationOptions,
  type NormalizationOptions,
} from './normalization.js';
export { pad, type PadOptions } from './cutting.js';
export {
  averagePool,
  globalAveragePool,
  maxPool,
  type AveragePoolOptions,
  type MaxPoolOptions,
} from './pooling.js';
export { reduceMean, reduceProd, type ReduceOptions } from './reduction.js';
export { resize, type ResizeOptions } from './resize.js';
export {
  concat,
  reshape,
  shape,
  slice,
  type ConcatOptions,
  type ReshapeOptions,
  type SliceOptions,
} from './shape.js';
export { softmax, type SoftmaxOptions } from './activation.js';
export { split, type SplitOptions } from './cutting.js';
export { squeeze, unsqueeze, type SqueezeOptions, type UnsqueezeOptions } from './reshaping.js';
export { transpose, type TransposeOptions } from './reshaping.js';
export { where } from './elementwise.js';
