/** Makers of attributes, by ONNX's types: the public namespace `attr`. */
export { float, floats, int, ints, text as string } from './types.js';
