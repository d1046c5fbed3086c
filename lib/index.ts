/** Group Normalization in ONNX: build graphs, run them through ONNX Runtime, prove them against PyTorch. */
export * from './common.js';
export { writeModel, type WriteOptions } from './onnx/write.js';
export * from './weights/safetensors-file.js';
export { createSession } from './runtime/node.js';
export { setBufferPoolLimit } from './runtime/native/buffer-pool.js';
export { checkFixture, readFixture, readTestDataSet } from './parity/node.js';
export { checkTestDataSet, type TestDataSet, type TestDataSpec } from './parity/test-data-set.js';
export * as images from './images/index.js';
