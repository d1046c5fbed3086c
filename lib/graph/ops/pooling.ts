/** Pooling. Sources: ONNX operator pages of the same names; `torch.nn.MaxPool*d`, `AvgPool*d`, `AdaptiveAvgPool*d(1)`. */
import { GraphError } from '../../errors.js';
import { ceilPoolDim } from '../../shapes/dims.js';
import * as infer from '../../shapes/windows.js';
import type { Dim } from '../../tensor.js';
import { int, ints, string } from '../attr.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  formatList,
  knownOptions,
  requireFloat,
  requireRank,
  requireValues,
} from '../checks.js';
import type { Value } from '../types.js';
import {
  requireWindowFits,
  resolveWindow,
  windowAttributes,
  type Window,
  type WindowOptions,
} from './window.js';

/** Options of {@link maxPool}. */
export interface MaxPoolOptions extends WindowOptions {
  /** Size of the window in each spatial dimension. */
  readonly kernelShape: readonly number[];
  /** Whether a last window that hangs over the end counts. Default false. */
  readonly ceilMode?: boolean;
  /**
   * `same_upper`: TensorFlow's padding `SAME`, as much as each size needs, and where that is odd, one more at the end; without
   * `pads`, `dilations` and `ceilMode`. Default: `pads`.
   */
  readonly autoPad?: 'same_upper';
}

const MAX_POOL_OPTIONS = ['kernelShape', 'ceilMode', 'autoPad', 'strides', 'pads', 'dilations'] as const;

/**
 * Returns the largest element under each window (`torch.nn.MaxPool1d`, `MaxPool2d`, `MaxPool3d`). As in ONNX, strides
 * default to 1, where PyTorch's default to the kernel's size.
 * @param x (N, C, D1, ...) of rank 3 or more, any float. `pads` must be below the kernel's size.
 * @returns (N, C, ...), each spatial dimension ⌊(D + pads − (k − 1)·dilation − 1) / stride⌋ + 1; with `ceilMode`
 *   rounded up, without a window that would start behind the end; with `autoPad` ⌈D / stride⌉. If rounding up makes such a window, the node has more
 *   padding in place of ceil_mode, because ONNX counts that window before opset 22.
 * @throws OptionError, GraphError `RANK_TOO_LOW`, `MISSING_VALUE`, `INVALID_*`.
 */
export function maxPool(g: Scope, x: Value, options: MaxPoolOptions): Value {
  const opType = 'MaxPool';
  const known = knownOptions(g, opType, options, MAX_POOL_OPTIONS);
  const { kernelShape, ceilMode = false, autoPad, ...sliding } = known;
  requireValues(g, opType, { x });
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  requireFloat(g, opType, x);
  const window = resolveWindow(g, opType, x, kernelShape, sliding);
  if (autoPad !== undefined) {
    requireOnlyStrides(g, known);
    const attributes = {
      kernel_shape: ints(window.kernel),
      strides: ints(window.strides),
      auto_pad: string('SAME_UPPER'),
    };
    // A window of one element has as many places.
    const shape = infer.pool(x.shape, { ...window, kernel: window.kernel.map(() => 1) }, false);
    return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape }])[0]!;
  }
  requirePadsBelowKernel(g, opType, window);
  const shape = requireWindowFits(g, opType, x, window, infer.pool(x.shape, window, ceilMode));
  const dropsWindow = ceilMode && x.shape.slice(2).some((dim, i) => isWindowDropped(dim, window, i));
  const attributes = dropsWindow
    ? { ...windowAttributes(paddedWindow(g, opType, x, window, shape.slice(2))), ceil_mode: int(0) }
    : { ...windowAttributes(window), ceil_mode: int(ceilMode ? 1 : 0) };
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape }])[0]!;
}

function requireOnlyStrides(g: Scope, { autoPad, pads, dilations, ceilMode }: MaxPoolOptions): void {
  const isKnown = autoPad === 'same_upper';
  if (isKnown && pads === undefined && dilations === undefined && ceilMode === undefined) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('MaxPool')}: ` +
      (isKnown
        ? 'autoPad chooses the padding: leave out pads, dilations and ceilMode'
        : `autoPad '${String(autoPad)}' is not same_upper`),
  );
}

/** Options of {@link averagePool}. */
export interface AveragePoolOptions extends Omit<WindowOptions, 'dilations'> {
  /** Size of the window in each spatial dimension. */
  readonly kernelShape: readonly number[];
  /** Whether padding counts as zeros, which is PyTorch's default but not ONNX's. Default false. */
  readonly countIncludePad?: boolean;
}

const AVERAGE_POOL_OPTIONS = ['kernelShape', 'countIncludePad', 'strides', 'pads'] as const;

/**
 * Returns the mean under each window (`torch.nn.AvgPool1d`, `AvgPool2d`, `AvgPool3d`). As in ONNX, strides default to 1 and
 * padding does not count; in PyTorch strides default to the kernel's size and padding counts. ONNX Runtime's CPU provider
 * has no float64 kernel for AveragePool and refuses such a model.
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
  const shape = requireWindowFits(g, opType, x, window, infer.pool(x.shape, window, false));
  // AveragePool has no dilations before opset 19.
  const attributes = {
    kernel_shape: ints(window.kernel),
    strides: ints(window.strides),
    pads: ints(window.pads),
    count_include_pad: int(countIncludePad ? 1 : 0),
  };
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape }])[0]!;
}

/**
 * Returns the mean over all spatial dimensions (`torch.nn.AdaptiveAvgPool2d(1)`).
 * @param x (N, C, D1, ...) of rank 3 or more, any float.
 * @returns (N, C, 1, ...).
 * @throws GraphError `RANK_TOO_LOW`, `MISSING_VALUE`, `INVALID_DTYPE`.
 */
export function globalAveragePool(g: Scope, x: Value): Value {
  const opType = 'GlobalAveragePool';
  requireValues(g, opType, { x });
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  requireFloat(g, opType, x);
  return g.node(opType, [x], {}, [{ dtype: x.dtype, shape: infer.globalPool(x.shape) }])[0]!;
}

/**
 * Returns whether rounding up makes a window that starts after the end; `false` for a name, because ONNX cannot know it
 * either.
 */
function isWindowDropped(dim: Dim, window: Window, index: number): boolean {
  if (typeof dim === 'string') return false;
  const along = infer.alongDim(window, index)!;
  const { kernel, stride, dilation, padBegin, padEnd } = along;
  const beyond = dim + padBegin + padEnd - dilation * (kernel - 1) - 1;
  return Math.ceil(beyond / stride) + 1 > (ceilPoolDim(dim, along) as number);
}

/**
 * Returns the window with enough padding at the ends that it has the places of ceil_mode; padding is never the largest
 * element.
 * @throws GraphError `INVALID_SHAPE` if the padding is not certain or too large: beside a name, or for a dilated window.
 */
function paddedWindow(g: Scope, opType: string, x: Value, window: Window, result: readonly Dim[]): Window {
  const spatial = x.shape.slice(2);
  const ends = spatial.map((dim, index) => {
    const { kernel, stride, dilation, padBegin, padEnd } = infer.alongDim(window, index)!;
    if (typeof dim === 'string') return stride === 1 ? padEnd : NaN;
    const reach = ((result[index] as number) - 1) * stride + dilation * (kernel - 1) + 1;
    return Math.max(padEnd, reach - dim - padBegin);
  });
  if (ends.every((end, index) => end < window.kernel[index]!)) {
    return { ...window, pads: [...window.pads.slice(0, spatial.length), ...ends] };
  }
  throw new GraphError(
    'INVALID_SHAPE',
    `${g.describe(opType)}: with ceilMode, a window starts after the end of the input ${describeValue(x)}, and ONNX ` +
      'counts that window in opsets below 22. Give sizes for all spatial dimensions, or names for all of them; or ' +
      'choose other pads; or leave out ceilMode',
  );
}

/** Requires windows with at least one element of `x`; ONNX Runtime refuses others too. */
function requirePadsBelowKernel(g: Scope, opType: string, { kernel, pads }: Window): void {
  if (pads.every((pad, index) => pad < kernel[index % kernel.length]!)) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: pads ${formatList(pads)} must be below the kernel ${formatList(kernel)} in each dimension`,
  );
}
