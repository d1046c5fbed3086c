/**
 * The package's entry for Node: builds graphs around Group Normalization, runs them through ONNX Runtime, and proves
 * them against PyTorch. In browsers the package's entry is `browser.ts`.
 * @module onnx-groupnorm
 */
export * from './common.js';
export { writeModel, type WriteOptions } from './onnx/write.js';
export * from './weights/safetensors-file.js';
export { openPretrained, type OpenPretrainedOptions, PretrainedModel } from './checkpoint/open.js';
export { createSession } from './runtime/node.js';
export { compareActivations, compareModels, inspectModel } from './insight/node.js';
export type { CompareActivationsOptions } from './insight/compare/compare-activations.js';
export { setBufferPoolLimit } from './runtime/native/buffer-pool.js';
export { checkFixture, readFixture } from './parity/node.js';
export {
  checkTestDataSet,
  readTestDataSet,
  type TestDataSet,
  type TestDataSpec,
} from './parity/test-data-set.js';
