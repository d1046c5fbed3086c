/** The public namespace `images` in a browser, which has codecs of its own: pixels go in and out. */
export type { Image } from './image.js';
export { maskToImage, overlay, type Mask, type OverlayOptions } from './mask.js';
export { segment, type Segmentation } from './segment.js';
export { fromRgba, toRgba, type RgbaPixels } from './image.js';
