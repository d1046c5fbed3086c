/** Pooling. Sources: ONNX operator pages of the same names; `torch.nn.MaxPool*d`, `AdaptiveAvgPool*d(1)`. */
import { GraphError } from '../../errors.js';
import type { Scope } from '../builder.js';
import { formatList, requireFloat, requireRank, requireValues } from '../checks.js';
import { ceilPoolDim, convDim } from '../dims.js';
import { int, type Value } from '../types.js';
import { resolveWindow, windowAttributes, windowResult, type Window, type WindowOptions } from '../window.js';

export interface MaxPoolOptions extends WindowOptions {
  /** Size of the window in each spatial dimension. */
  readonly kernelShape: readonly number[];
  /** Whether a last window that hangs over the end counts. Default false. */
  readonly ceilMode?: boolean;
}

/**
 * The largest element under each window (`torch.nn.MaxPool1d`, `MaxPool2d`, `MaxPool3d`). As in ONNX, strides
 * default to 1, where PyTorch's default to the kernel's size.
 * @param x (N, C, D1, ...) of rank 3 or more, any float. `pads` must be below the kernel's size.
 * @returns (N, C, ...), each spatial dimension ⌊(D + pads − (k − 1)·dilation − 1) / stride⌋ + 1; with `ceilMode`
 *   rounded up, without the window that would start behind the end.
 * @throws GraphError `RANK_TOO_LOW`, `MISSING_VALUE`, `INVALID_*`.
 */
export function maxPool(
  g: Scope,
  x: Value,
  { kernelShape, ceilMode = false, ...options }: MaxPoolOptions,
): Value {
  const opType = 'MaxPool';
  requireValues(g, opType, { x });
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  requireFloat(g, opType, x);
  const window = resolveWindow(g, opType, x, kernelShape, options);
  requirePadsBelowKernel(g, opType, window);
  const spatial = windowResult(g, opType, x, window, ceilMode ? ceilPoolDim : convDim);
  const attributes = { ...windowAttributes(window), ceil_mode: int(ceilMode ? 1 : 0) };
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

/** A window that lay in the padding alone would have no largest element; ONNX Runtime refuses it too. */
function requirePadsBelowKernel(g: Scope, opType: string, { kernel, pads }: Window): void {
  if (pads.every((pad, index) => pad < kernel[index % kernel.length]!)) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: pads ${formatList(pads)} must be below the kernel ${formatList(kernel)} in each dimension`,
  );
}
