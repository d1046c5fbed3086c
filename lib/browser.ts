/** The same in a browser: files are Blobs, models come by URL or as bytes, and ONNX Runtime is onnxruntime-web. */
export * from './common.js';
export { openSafetensors } from './weights/safetensors-blob.js';
export type { BlobLike } from './files/blob.js';
export * from './runtime/browser.js';
export * from './parity/browser.js';
export * as images from './images/browser.js';
