/** Images through networks that give every pixel a class: the public namespace `images`. */
export * from './common.js';
export { decodePng, encodePng } from './png.js';
