/** The same in a browser: files are Blobs, models come by URL or as bytes, and ONNX Runtime is onnxruntime-web. */
export * from './common.js';
export { openSafetensors } from './weights/safetensors-blob.js';
export type { BlobLike } from './files/ranged.js';
export { createSession } from './runtime/browser.js';
export { setRuntimeFolder } from './runtime/ort-web/browser.js';
export { checkFixture } from './parity/browser.js';
export * as images from './images/browser.js';
