/** The entry `onnx-groupnorm/images` for Node: reads and writes PNG files, segments images, and draws masks. */
export * from './browser.js';
export { decodePng, type DecodePngOptions, encodePng } from './png.js';
