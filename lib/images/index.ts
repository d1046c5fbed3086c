/** Images through networks that give every pixel a class: the public namespace `images`. */
export type { Image } from './image.js';
export { maskToImage, overlay, type Mask, type OverlayOptions } from './mask.js';
export { segment, type Segmentation } from './segment.js';
export { decodePng, encodePng } from './png.js';
