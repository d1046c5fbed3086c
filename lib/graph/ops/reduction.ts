/** Reductions. Sources: the ONNX operator pages of the same names; `torch.mean`, `torch.prod`. */
import type { Scope } from '../builder.js';
import { knownOptions, requireFloat, requireNumeric, requireValues, resolveAxes } from '../checks.js';
import { int, ints } from '../attr.js';
import type { Value } from '../types.js';

/** Options of {@link reduceMean} and {@link reduceProd}. */
export interface ReduceOptions {
  /** Axes to reduce, at least one; a negative axis counts from the end. */
  readonly axes: readonly number[];
  /** Whether a reduced axis stays, with size 1. Default true. */
  readonly keepdims?: boolean;
}

/**
 * The mean over `axes`: any float `x`, same dtype.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function reduceMean(g: Scope, x: Value, options: ReduceOptions): Value {
  requireValues(g, 'ReduceMean', { x });
  requireFloat(g, 'ReduceMean', x);
  return reduce(g, 'ReduceMean', x, options);
}

/**
 * The product over `axes`: `x` of any float, int32 or int64, same dtype.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function reduceProd(g: Scope, x: Value, options: ReduceOptions): Value {
  requireValues(g, 'ReduceProd', { x });
  requireNumeric(g, 'ReduceProd', x);
  return reduce(g, 'ReduceProd', x, options);
}

function reduce(g: Scope, opType: string, x: Value, options: ReduceOptions): Value {
  const { axes, keepdims = true } = knownOptions(g, opType, options, ['axes', 'keepdims']);
  const reduced = resolveAxes(g, opType, axes, x).sort((a, b) => a - b);
  const shape = x.shape.flatMap((dim, axis) => (!reduced.includes(axis) ? [dim] : keepdims ? [1] : []));
  const attributes = { axes: ints(reduced), keepdims: int(keepdims ? 1 : 0) };
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape }])[0]!;
}
