/**
 * The package's entry for browsers: files are Blobs, models come from URLs or bytes, and ONNX Runtime is
 * onnxruntime-web. It has the exports of the entry for Node, `index.ts`, except those that need paths of files or the
 * native kernel, such as `writeModel` and `setBufferPoolLimit`. The exports that differ are its own.
 * @module onnx-groupnorm in browsers
 */
export * from './common.js';
export { openSafetensors } from './weights/safetensors-blob.js';
export type { BlobLike } from './files/ranged.js';
export { createSession } from './runtime/browser.js';
export { compareModels, inspectModel } from './insight/browser.js';
export { setRuntimeFolder } from './runtime/ort-web/browser.js';
export { checkFixture } from './parity/browser.js';
