/** What convolution and pooling share: a window that slides over the spatial dimensions. */
import { GraphError } from '../errors.js';
import type { Dim } from '../tensor.js';
import type { Scope } from './builder.js';
import { describeValue, formatList, requireIntegers } from './checks.js';
import type { DimWindow } from './dims.js';
import { ints } from './attr.js';
import type { Attributes, Value } from './types.js';

/** How a window slides. Each list has one number for each spatial dimension, `pads` has two. */
export interface WindowOptions {
  /** Steps of the window. Default 1. */
  readonly strides?: readonly number[];
  /** Elements added at the edges, ONNX's order: all beginnings, then all ends. Default 0. */
  readonly pads?: readonly number[];
  /** Distances between the window's elements. Default 1. */
  readonly dilations?: readonly number[];
}

/** A window with nothing left to default. */
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

/** The window as ONNX attributes, all of them explicit. */
export const windowAttributes = ({ kernel, strides, pads, dilations }: Window): Attributes => ({
  kernel_shape: ints(kernel),
  strides: ints(strides),
  pads: ints(pads),
  dilations: ints(dilations),
});

/**
 * The spatial dimensions of the result, each made by `size` of one of `x`.
 * @throws GraphError `INVALID_SHAPE` if one comes out below 1.
 */
export function windowResult(
  g: Scope,
  opType: string,
  x: Value,
  window: Window,
  size: (dim: Dim, along: DimWindow, index: number) => Dim,
): Dim[] {
  const spatial = x.shape.slice(2);
  const result = spatial.map((dim, index) => size(dim, alongDim(window, index), index));
  const bad = result.findIndex((dim) => typeof dim === 'number' && dim < 1);
  if (bad === -1) return result;
  const { kernel, strides, pads, dilations } = window;
  throw new GraphError(
    'INVALID_SHAPE',
    `${g.describe(opType)}: kernel ${formatList(kernel)} with strides ${formatList(strides)}, ` +
      `pads ${formatList(pads)} and dilations ${formatList(dilations)} does not fit the input ${describeValue(x)}: ` +
      `dimension ${bad + 2} of the result would be ${result[bad]}, but must be at least 1`,
  );
}

/** The window along one spatial dimension. */
export const alongDim = ({ kernel, strides, pads, dilations }: Window, index: number): DimWindow => ({
  kernel: kernel[index]!,
  stride: strides[index]!,
  dilation: dilations[index]!,
  padBegin: pads[index]!,
  padEnd: pads[index + kernel.length]!,
});

const fill = (length: number, value: number): number[] => Array<number>(length).fill(value);
