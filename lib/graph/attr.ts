/** Makes attributes for `Scope.node`, one function for each ONNX type: the public namespace `attr`. */
import type { Attribute } from './types.js';

/** Makes an ONNX INT attribute: an integer, stored in 64 bits. A flag is 0 or 1. */
export const int = (value: number): Attribute => ({ type: 'INT', value });
/** Makes an ONNX FLOAT attribute: a number, stored as float32. */
export const float = (value: number): Attribute => ({ type: 'FLOAT', value });
/** Makes an ONNX STRING attribute: text, stored as UTF-8. */
export const string = (value: string): Attribute => ({ type: 'STRING', value });
/** Makes an ONNX FLOATS attribute: a list of numbers, stored as float32. */
export const floats = (value: readonly number[]): Attribute => ({ type: 'FLOATS', value });
/** Makes an ONNX INTS attribute: a list of integers, stored in 64 bits each. */
export const ints = (value: readonly number[]): Attribute => ({ type: 'INTS', value });
