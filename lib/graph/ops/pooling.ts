/** Pooling. Sources: ONNX operator pages of the same names; `torch.nn.MaxPool*d`, `AvgPool*d`, `AdaptiveAvgPool*d(1)`. */
import { GraphError } from '../../errors.js';
import type { Dim } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  formatList,
  knownOptions,
  requireFloat,
  requireRank,
  requireValues,
} from '../checks.js';
import { ceilPoolDim, convDim } from '../dims.js';
import { int, ints } from '../attr.js';
import type { Value } from '../types.js';
import {
  alongDim,
  resolveWindow,
  windowAttributes,
  windowResult,
  type Window,
  type WindowOptions,
} from '../window.js';

/** Options of {@link maxPool}. */
export interface MaxPoolOptions extends WindowOptions {
  /** Size of the window in each spatial dimension. */
  readonly kernelShape: readonly number[];
  /** Whether a last window that hangs over the end counts. Default false. */
  readonly ceilMode?: boolean;
}

const MAX_POOL_OPTIONS = ['kernelShape', 'ceilMode', 'strides', 'pads', 'dilations'] as const;

/**
 * The largest element under each window (`torch.nn.MaxPool1d`, `MaxPool2d`, `MaxPool3d`). As in ONNX, strides
 * default to 1, where PyTorch's default to the kernel's size.
 * @param x (N, C, D1, ...) of rank 3 or more, any float. `pads` must be below the kernel's size.
 * @returns (N, C, ...), each spatial dimension ⌊(D + pads − (k − 1)·dilation − 1) / stride⌋ + 1; with `ceilMode`
 *   rounded up, without the window that would start behind the end. Where sizes are such that there is one, the
 *   node is written without ceil_mode, because ONNX counts that window before opset 22.
 * @throws OptionError, GraphError `RANK_TOO_LOW`, `MISSING_VALUE`, `INVALID_*`.
 */
export function maxPool(g: Scope, x: Value, options: MaxPoolOptions): Value {
  const opType = 'MaxPool';
  const { kernelShape, ceilMode = false, ...sliding } = knownOptions(g, opType, options, MAX_POOL_OPTIONS);
  requireValues(g, opType, { x });
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  requireFloat(g, opType, x);
  const window = resolveWindow(g, opType, x, kernelShape, sliding);
  requirePadsBelowKernel(g, opType, window);
  const spatial = windowResult(g, opType, x, window, ceilMode ? ceilPoolDim : convDim);
  const dropsWindow = ceilMode && x.shape.slice(2).some((dim, i) => isWindowDropped(dim, window, i));
  const attributes = dropsWindow
    ? { ...windowAttributes(paddedWindow(g, opType, x, window, spatial)), ceil_mode: int(0) }
    : { ...windowAttributes(window), ceil_mode: int(ceilMode ? 1 : 0) };
  return g.node(opType, [x], attributes, [
    { dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...spatial] },
  ])[0]!;
}

/** Options of {@link averagePool}. */
export interface AveragePoolOptions extends Omit<WindowOptions, 'dilations'> {
  /** Size of the window in each spatial dimension. */
  readonly kernelShape: readonly number[];
  /** Whether padding counts as zeros, as in PyTorch by default, or not at all, as in ONNX. Default false. */
  readonly countIncludePad?: boolean;
}

const AVERAGE_POOL_OPTIONS = ['kernelShape', 'countIncludePad', 'strides', 'pads'] as const;

/**
 * The mean under each window (`torch.nn.AvgPool1d`, `AvgPool2d`, `AvgPool3d`). As in ONNX, strides default to 1 and
 * padding is not counted, where PyTorch's default to the kernel's size and to counting it. ONNX Runtime has no float64
 * kernel of it on the CPU, and refuses such a model.
 * @param x (N, C, D1, ...) of rank 3 or more, any float. `pads` must be below the kernel's size.
 * @returns (N, C, ...), each spatial dimension ⌊(D + pads − k) / stride⌋ + 1.
 * @throws OptionError, GraphError `RANK_TOO_LOW`, `MISSING_VALUE`, `INVALID_*`.
 */
export function averagePool(g: Scope, x: Value, options: AveragePoolOptions): Value {
  const opType = 'AveragePool';
  const known = knownOptions(g, opType, options, AVERAGE_POOL_OPTIONS);
  const { kernelShape, countIncludePad = false, ...sliding } = known;
  requireValues(g, opType, { x });
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  requireFloat(g, opType, x);
  const window = resolveWindow(g, opType, x, kernelShape, sliding);
  requirePadsBelowKernel(g, opType, window);
  const spatial = windowResult(g, opType, x, window, convDim);
  // Before opset 19 there are no dilations.
  const attributes = {
    kernel_shape: ints(window.kernel),
    strides: ints(window.strides),
    pads: ints(window.pads),
    count_include_pad: int(countIncludePad ? 1 : 0),
  };
  return g.node(opType, [x], attributes, [
    { dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...spatial] },
  ])[0]!;
}

/**
 * The mean over all spatial dimensions (`torch.nn.AdaptiveAvgPool2d(1)`).
 * @param x (N, C, D1, ...) of rank 3 or more, any float.
 * @returns (N, C, 1, ...).
 * @throws GraphError `RANK_TOO_LOW`, `MISSING_VALUE`, `INVALID_DTYPE`.
 */
export function globalAveragePool(g: Scope, x: Value): Value {
  const opType = 'GlobalAveragePool';
  requireValues(g, opType, { x });
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  requireFloat(g, opType, x);
  const shape = x.shape.map((dim, axis) => (axis < 2 ? dim : 1));
  return g.node(opType, [x], {}, [{ dtype: x.dtype, shape }])[0]!;
}

/** Whether rounding up makes a window that starts behind the end. Of a name it is not known; nor to ONNX, then. */
function isWindowDropped(dim: Dim, window: Window, index: number): boolean {
  if (typeof dim === 'string') return false;
  const { kernel, stride, dilation, padBegin, padEnd } = alongDim(window, index);
  const beyond = dim + padBegin + padEnd - dilation * (kernel - 1) - 1;
  return Math.ceil(beyond / stride) + 1 > (ceilPoolDim(dim, alongDim(window, index)) as number);
}

/**
 * The window with so much padding at the ends that its last places are those of ceil_mode: padding never is the
 * largest element.
 * @throws GraphError `INVALID_SHAPE` where that cannot be said: beside a name, or of a dilated window.
 */
function paddedWindow(g: Scope, opType: string, x: Value, window: Window, result: readonly Dim[]): Window {
  const spatial = x.shape.slice(2);
  const ends = spatial.map((dim, index) => {
    const { kernel, stride, dilation, padBegin, padEnd } = alongDim(window, index);
    if (typeof dim === 'string') return stride === 1 ? padEnd : NaN;
    const reach = ((result[index] as number) - 1) * stride + dilation * (kernel - 1) + 1;
    return Math.max(padEnd, reach - dim - padBegin);
  });
  if (ends.every((end, index) => end < window.kernel[index]!)) {
    return { ...window, pads: [...window.pads.slice(0, spatial.length), ...ends] };
  }
  throw new GraphError(
    'INVALID_SHAPE',
    `${g.describe(opType)}: ceilMode makes a window of ${describeValue(x)} that starts behind the end, and opsets ` +
      'below 22 count it: give all spatial dimensions sizes or all names, or choose other pads or no ceilMode',
  );
}

/** A window that lay in the padding alone would have no largest element; ONNX Runtime refuses it too. */
function requirePadsBelowKernel(g: Scope, opType: string, { kernel, pads }: Window): void {
  if (pads.every((pad, index) => pad < kernel[index % kernel.length]!)) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: pads ${formatList(pads)} must be below the kernel ${formatList(kernel)} in each dimension`,
  );
}
