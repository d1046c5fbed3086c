/** The window that convolution and pooling slide over the spatial dimensions. */
import { GraphError } from '../../errors.js';
import type { Shape } from '../../tensor.js';
import { ints } from '../attr.js';
import type { Scope } from '../builder.js';
import { describeValue, formatList, requireIntegers } from '../checks.js';
import type { Attributes, Value } from '../types.js';

/** How a window slides. Each list has one number for each spatial dimension, `pads` has two. */
export interface WindowOptions {
  /** Steps of the window. Default 1. */
  readonly strides?: readonly number[];
  /** The number of elements to add at each edge, in ONNX's order: all beginnings, then all ends. Default 0. */
  readonly pads?: readonly number[];
  /** Distances between the window's elements. Default 1. */
  readonly dilations?: readonly number[];
}

/** A window with every list present. */
export interface Window extends Required<WindowOptions> {
  readonly kernel: readonly number[];
}

/**
 * Completes and checks a window over the spatial dimensions of `x` (N, C, D1, ...).
 * @throws GraphError `INVALID_ATTRIBUTE`.
 */
export function resolveWindow(
  g: Scope,
  opType: string,
  x: Value,
  kernel: readonly number[],
  options: WindowOptions,
): Window {
  const length = x.rank - 2;
  const { strides = fill(length, 1), pads = fill(2 * length, 0), dilations = fill(length, 1) } = options;
  const each = { length, least: 1, reason: `one for each spatial dimension of ${describeValue(x)}` };
  requireIntegers(g, opType, 'kernel shape', kernel, each);
  requireIntegers(g, opType, 'strides', strides, each);
  requireIntegers(g, opType, 'dilations', dilations, each);
  requireIntegers(g, opType, 'pads', pads, {
    length: 2 * length,
    least: 0,
    reason: `a beginning and an end for each spatial dimension of ${describeValue(x)}`,
  });
  return { kernel: [...kernel], strides: [...strides], pads: [...pads], dilations: [...dilations] };
}

/** Returns the window as ONNX attributes, all of them explicit. */
export const windowAttributes = ({ kernel, strides, pads, dilations }: Window): Attributes => ({
  kernel_shape: ints(kernel),
  strides: ints(strides),
  pads: ints(pads),
  dilations: ints(dilations),
});

/**
 * Requires spatial dimensions of at least 1 in the shape that a window leaves of `x`.
 * @returns `result`.
 * @throws GraphError `INVALID_SHAPE`.
 */
export function requireWindowFits(g: Scope, opType: string, x: Value, window: Window, result: Shape): Shape {
  const bad = result.findIndex((dim, axis) => axis >= 2 && typeof dim === 'number' && dim < 1);
  if (bad === -1) return result;
  const { kernel, strides, pads, dilations } = window;
  throw new GraphError(
    'INVALID_SHAPE',
    `${g.describe(opType)}: kernel ${formatList(kernel)} with strides ${formatList(strides)}, ` +
      `pads ${formatList(pads)} and dilations ${formatList(dilations)} does not fit the input ${describeValue(x)}: ` +
      `dimension ${bad} of the result would be ${result[bad]}, but must be at least 1`,
  );
}

const fill = (length: number, value: number): number[] => Array<number>(length).fill(value);
