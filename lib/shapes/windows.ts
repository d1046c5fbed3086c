/**
 * Shapes of the results of convolution and pooling: a window slides over the spatial dimensions of (N, C, D1, ...).
 * Sources: ONNX operator pages Conv, ConvTranspose, MaxPool, AveragePool and GlobalAveragePool.
 */
import { type Dim, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { ceilPoolDim, convDim, convTransposeDim, type DimWindow, productDim } from './dims.js';

/** How a window slides, one number for each spatial dimension; an absent list has ONNX's defaults. */
export interface Window {
  /** The window's sizes. */
  readonly kernel: Shape;
  /** Default: 1. */
  readonly strides?: readonly number[] | undefined;
  /** All beginnings, then all ends. Default: 0. */
  readonly pads?: readonly number[] | undefined;
  /** Default: 1. */
  readonly dilations?: readonly number[] | undefined;
}

/** The size of the result along one spatial dimension. */
type SizeOf = (dim: Dim, along: DimWindow, index: number) => Dim;

/** The part of a window that slides along one spatial dimension; `undefined` if the kernel's size is not a number. */
export function alongDim(window: Window, index: number): DimWindow | undefined {
  const { kernel, strides, pads, dilations } = window;
  const size = kernel[index];
  if (typeof size !== 'number') return undefined;
  return {
    kernel: size,
    stride: strides?.[index] ?? 1,
    dilation: dilations?.[index] ?? 1,
    padBegin: pads?.[index] ?? 0,
    padEnd: pads?.[index + kernel.length] ?? 0,
  };
}

/** Conv: (N, C, D1, ...) and a weight (M, C / group, k1, ...) to (N, M, ...). */
export function conv(x: Shape | undefined, weight: Shape, window: Omit<Window, 'kernel'>): Shape {
  const spatial = slide(x, { ...window, kernel: weight.slice(2) }, convDim);
  return [x?.[0] ?? UNKNOWN_DIM, weight[0] ?? UNKNOWN_DIM, ...spatial];
}

/** What a transposed convolution has besides its window. */
interface Transposed {
  readonly group: number;
  readonly outputPadding?: readonly number[] | undefined;
}

/** ConvTranspose: (N, C, D1, ...) and a weight (C, M / group, k1, ...) to (N, M, ...). */
export function convTranspose(
  x: Shape | undefined,
  weight: Shape,
  { group, outputPadding, ...window }: Omit<Window, 'kernel'> & Transposed,
): Shape {
  const sizeOf: SizeOf = (dim, along, index) => convTransposeDim(dim, along, outputPadding?.[index] ?? 0);
  const spatial = slide(x, { ...window, kernel: weight.slice(2) }, sizeOf);
  return [x?.[0] ?? UNKNOWN_DIM, productDim([weight[1] ?? UNKNOWN_DIM, group]), ...spatial];
}

/** MaxPool, AveragePool and LpPool: (N, C, D1, ...) to (N, C, ...). */
export const pool = (x: Shape, window: Window, ceilMode: boolean): Shape => [
  ...x.slice(0, 2),
  ...slide(x, window, ceilMode ? ceilPoolDim : convDim),
];

/** GlobalAveragePool and GlobalMaxPool: every spatial dimension becomes 1. */
export const globalPool = (x: Shape): Shape => x.map((dim, axis) => (axis < 2 ? dim : 1));

function slide(x: Shape | undefined, window: Window, sizeOf: SizeOf): Dim[] {
  return window.kernel.map((_, index) => {
    const along = alongDim(window, index);
    return along ? sizeOf(x?.[index + 2] ?? UNKNOWN_DIM, along, index) : UNKNOWN_DIM;
  });
}
