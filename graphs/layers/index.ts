/**
 * The package's entry `onnx-groupnorm/layers`: PyTorch's layers for `GraphBuilder`, whose parameters carry PyTorch's
 * state_dict keys.
 * @module onnx-groupnorm/layers
 */
export * from './convolution.js';
export * from './linear.js';
export * from './normalization.js';
export * from './resampling.js';
