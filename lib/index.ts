/** Group Normalization in ONNX: build graphs, run them through ONNX Runtime, prove them against PyTorch. */
export * from './common.js';
export { writeModel, type WriteOptions } from './onnx/write.js';
export * from './weights/safetensors-file.js';
export * from './runtime/index.js';
export * from './parity/index.js';
export * as images from './images/index.js';
