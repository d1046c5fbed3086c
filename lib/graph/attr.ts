/** Makers of attributes, by ONNX's types: the public namespace `attr`. */
import type { Attribute } from './types.js';

/** An ONNX INT: an integer, kept in 64 bits. A flag is 0 or 1. */
export const int = (value: number): Attribute => ({ type: 'INT', value });
/** An ONNX FLOAT: a number, kept in float32. */
export const float = (value: number): Attribute => ({ type: 'FLOAT', value });
/** An ONNX STRING: text, kept in UTF-8. */
export const string = (value: string): Attribute => ({ type: 'STRING', value });
/** An ONNX FLOATS: a list of numbers, kept in float32. */
export const floats = (value: readonly number[]): Attribute => ({ type: 'FLOATS', value });
/** An ONNX INTS: a list of integers, kept in 64 bits each. */
export const ints = (value: readonly number[]): Attribute => ({ type: 'INTS', value });
