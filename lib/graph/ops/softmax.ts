/** Softmax. Sources: ONNX operator page Softmax; `torch.nn.Softmax`. */
import type { Scope } from '../builder.js';
import { knownOptions, requireFloat, requireValues, resolveAxis } from '../checks.js';
import { int, type Value } from '../types.js';

/** Options of {@link softmax}. */
export interface SoftmaxOptions {
  /** The axis along which the results sum to 1; a negative one counts from the end. Default −1. */
  readonly axis?: number;
}

/**
 * exp(x) / Σ exp(x) along `axis` (`torch.softmax`); large elements do not overflow.
 * @param x Any float, rank 1 or more.
 * @returns The same dtype and shape.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function softmax(g: Scope, x: Value, options: SoftmaxOptions = {}): Value {
  const opType = 'Softmax';
  const { axis = -1 } = knownOptions(g, opType, options, ['axis']);
  requireValues(g, opType, { x });
  requireFloat(g, opType, x);
  const along = resolveAxis(g, opType, axis, x);
  return g.node(opType, [x], { axis: int(along) }, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}
