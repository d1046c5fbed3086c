/** Elementwise arithmetic, and a choice between elements. Sources: the ONNX operator pages of the same names. */
import { GraphError } from '../../errors.js';
import type { DType } from '../../tensor.js';
import { int } from '../attr.js';
import type { Scope } from '../builder.js';
import {
  broadcastShapes,
  describeValue,
  knownOptions,
  requireFloat,
  requireNumeric,
  requireSameDType,
  requireValues,
  scalarOption,
} from '../checks.js';
import { type Attributes, ONNX_DTYPE, type Value } from '../types.js';

/** Returns a + b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const add = (g: Scope, a: Value, b: Value): Value => binary(g, 'Add', a, b);

/** Returns a − b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const sub = (g: Scope, a: Value, b: Value): Value => binary(g, 'Sub', a, b);

/** Returns a · b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const mul = (g: Scope, a: Value, b: Value): Value => binary(g, 'Mul', a, b);

/** Returns a / b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const div = (g: Scope, a: Value, b: Value): Value => binary(g, 'Div', a, b);

function binary(g: Scope, opType: string, a: Value, b: Value): Value {
  requireValues(g, opType, { a, b });
  requireSameDType(g, opType, a, b);
  requireNumeric(g, opType, a);
  const shape = broadcastShapes(a.shape, b.shape);
  if (!shape) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: ${describeValue(a)} and ${describeValue(b)} do not broadcast`,
    );
  }
  return g.node(opType, [a, b], {}, [{ dtype: a.dtype, shape }])[0]!;
}

/** Returns √x, for any float `x`; NaN below 0. */
export const sqrt = (g: Scope, x: Value): Value => unary(g, 'Sqrt', x);

/** Returns eˣ, for any float `x`. */
export const exp = (g: Scope, x: Value): Value => unary(g, 'Exp', x);

/** Returns the natural logarithm of `x`, for any float; NaN below 0. */
export const log = (g: Scope, x: Value): Value => unary(g, 'Log', x);

/** Returns the sine of `x` in radians, for any float. */
export const sin = (g: Scope, x: Value): Value => unary(g, 'Sin', x);

/** Returns the cosine of `x` in radians, for any float. */
export const cos = (g: Scope, x: Value): Value => unary(g, 'Cos', x);

/** Options of {@link clip}: at least one of them. */
export interface ClipOptions {
  /** Smaller elements become this. Default: no lower bound. */
  readonly min?: number;
  /** Larger elements become this; not below `min`. Default: no upper bound. */
  readonly max?: number;
}

/**
 * Returns `x` with every element moved between `min` and `max` (`torch.clamp`).
 * @param x Any float, int32 or int64.
 * @returns The same dtype and shape.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function clip(g: Scope, x: Value, options: ClipOptions): Value {
  const opType = 'Clip';
  const { min, max } = knownOptions(g, opType, options, ['min', 'max']);
  requireValues(g, opType, { x });
  requireNumeric(g, opType, x);
  const bound = (option: string, value: number | undefined) =>
    value === undefined ? undefined : scalarOption(g, opType, option, value, x.dtype);
  const bounds = [bound('min', min), bound('max', max)];
  if ((min === undefined && max === undefined) || min! > max!) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe(opType)}: give min, max or both, and min must not be above max; got min ${min} and max ${max}`,
    );
  }
  return g.node(opType, [x, ...bounds], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}

/**
 * Returns `a` where `condition` is true and `b` elsewhere, with NumPy's broadcasting of all three (`torch.where`).
 * @param condition bool. @param a Any dtype. @param b Of the same dtype.
 * @throws GraphError `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function where(g: Scope, condition: Value, a: Value, b: Value): Value {
  const opType = 'Where';
  requireValues(g, opType, { condition, a, b });
  if (condition.dtype !== 'bool') {
    throw new GraphError(
      'INVALID_DTYPE',
      `${g.describe(opType)}: condition ${describeValue(condition)} is ${condition.dtype}, but must be bool`,
    );
  }
  requireSameDType(g, opType, a, b);
  const either = broadcastShapes(a.shape, b.shape);
  const shape = either && broadcastShapes(condition.shape, either);
  if (!shape) {
    const all = [condition, a, b].map(describeValue).join(', ');
    throw new GraphError('SHAPE_MISMATCH', `${g.describe(opType)}: ${all} do not broadcast`);
  }
  return g.node(opType, [condition, a, b], {}, [{ dtype: a.dtype, shape }])[0]!;
}

/** Returns `x` itself, under another name. Any dtype. */
export function identity(g: Scope, x: Value): Value {
  requireValues(g, 'Identity', { x });
  return g.node('Identity', [x], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}

/**
 * Returns `x` with its elements converted to `dtype`.
 * @throws GraphError `INVALID_DTYPE` if ONNX has no such dtype.
 */
export function cast(g: Scope, x: Value, dtype: DType): Value {
  requireValues(g, 'Cast', { x });
  if (!Object.hasOwn(ONNX_DTYPE, dtype)) {
    throw new GraphError('INVALID_DTYPE', `${g.describe('Cast')}: ONNX has no dtype '${dtype}'`);
  }
  return g.node('Cast', [x], { to: int(ONNX_DTYPE[dtype]) }, [{ dtype, shape: x.shape }])[0]!;
}

/** Adds an operator that takes one float and keeps its dtype and shape. */
export function unary(g: Scope, opType: string, x: Value, attributes: Attributes = {}): Value {
  requireValues(g, opType, { x });
  requireFloat(g, opType, x);
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}
