/** Images through networks that give every pixel a class: the public namespace `images`. */
export type { Image } from './image.js';
export { maskToImage, type Mask } from './mask.js';
export { overlay, type OverlayOptions } from './overlay.js';
export { decodePng, encodePng } from './png.js';
export { segment, type Segmentation } from './segment.js';
