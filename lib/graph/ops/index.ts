/** Every operator, by its ONNX name in camelCase: the public namespace `op`. */
export { conv, convTranspose, type ConvOptions, type ConvTransposeOptions } from './convolution.js';
export { add, cast, div, identity, mul, relu, sigmoid, silu, sqrt, sub } from './elementwise.js';
export { expand, type ExpandOptions } from './expand.js';
export { flatten, gemm, type FlattenOptions, type GemmOptions } from './linear.js';
export {
  batchNormalization,
  groupNormalization,
  instanceNormalization,
  layerNormalization,
  type GroupNormalizationOptions,
  type LayerNormalizationOptions,
  type NormalizationOptions,
} from './normalization.js';
export { globalAveragePool, maxPool, type MaxPoolOptions } from './pooling.js';
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
