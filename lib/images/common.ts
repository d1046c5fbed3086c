/** What needs no codec. */
export type { Image } from './image.js';
export { maskToImage, type Mask } from './mask.js';
export { overlay, type OverlayOptions } from './overlay.js';
export { segment, type Segmentation } from './segment.js';
