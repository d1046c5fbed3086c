/**
 * The entry `onnx-groupnorm/images` for browsers, which decode and encode image files themselves: segments images of
 * pixels, and draws masks.
 * @module
 */
export { fromRgba, type Image, type RgbaPixels, toRgba } from './image.js';
export { type Mask, maskToImage, overlay, type OverlayOptions } from './mask.js';
export type { Size } from './resample.js';
export { segment, type Segmentation, type SegmentOptions } from './segment.js';
export { IMAGENET, toTensor, type ToTensorOptions } from './to-tensor.js';
