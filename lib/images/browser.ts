/** The public namespace `images` in a browser, which has codecs of its own: pixels go in and out. */
export * from './common.js';
export { fromRgba, toRgba, type RgbaPixels } from './rgba.js';
