/**
 * The entry `onnx-groupnorm/images` for Node: reads and writes PNG files, segments images, and draws masks. In browsers,
 * which decode image files themselves, it has neither `decodePng` nor `encodePng`.
 * @module onnx-groupnorm/images
 */
export * from './browser.js';
export { decodePng, type DecodePngOptions, encodePng } from './png.js';
