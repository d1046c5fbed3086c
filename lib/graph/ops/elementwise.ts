/** Elementwise operators. Sources: the ONNX operator pages of the same names. */
import { GraphError } from '../../errors.js';
import type { DType } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  broadcastShapes,
  describeValue,
  knownOptions,
  requireFinite,
  requireFloat,
  requireNumeric,
  requireSameDType,
  requireValues,
  scalar,
  scalarOption,
} from '../checks.js';
import { float, int } from '../attr.js';
import { type Attributes, ONNX_DTYPE, type Value } from '../types.js';

/** max(x, 0): any float `x`, same shape. */
export const relu = (g: Scope, x: Value): Value => unary(g, 'Relu', x);

/** 1 / (1 + exp(−x)): any float `x`, same shape. */
export const sigmoid = (g: Scope, x: Value): Value => unary(g, 'Sigmoid', x);

/** tanh(x): any float `x`, same shape. */
export const tanh = (g: Scope, x: Value): Value => unary(g, 'Tanh', x);

/** √x: any float `x`, same shape; NaN below 0. */
export const sqrt = (g: Scope, x: Value): Value => unary(g, 'Sqrt', x);

/**
 * x·sigmoid(x), PyTorch's `SiLU`, as Sigmoid and Mul; in float64 as x / (1 + exp(−x)), as PyTorch computes it:
 * ONNX Runtime makes QuickGelu of the former, of which it has no float64 kernel, and its Sigmoid is 0 below −37.
 */
export function silu(g: Scope, x: Value): Value {
  requireValues(g, 'Sigmoid', { x });
  if (x.dtype !== 'float64') return mul(g, x, sigmoid(g, x));
  return div(g, x, add(g, scalar(g, 'float64', 1), unary(g, 'Exp', unary(g, 'Neg', x))));
}

/** Options of {@link leakyRelu}. */
export interface LeakyReluOptions {
  /** Slope below 0. Default 0.01. */
  readonly alpha?: number;
}

/**
 * x where it is above 0, alpha · x elsewhere (`torch.nn.LeakyReLU`, whose option is `negative_slope`). In float64 as
 * max(x, 0) − alpha · max(−x, 0), because ONNX Runtime has no float64 kernel for LeakyRelu.
 * @param x Any float.
 * @returns The same dtype and shape.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function leakyRelu(g: Scope, x: Value, options: LeakyReluOptions = {}): Value {
  const opType = 'LeakyRelu';
  const { alpha = 0.01 } = knownOptions(g, opType, options, ['alpha']);
  requireFinite(g, opType, { alpha });
  if (x?.dtype !== 'float64') return unary(g, opType, x, { alpha: float(alpha) });
  return sub(g, relu(g, x), mul(g, scalar(g, 'float64', alpha), relu(g, unary(g, 'Neg', x))));
}

/** Options of {@link clip}: at least one of them. */
export interface ClipOptions {
  /** What is smaller becomes this. Default: nothing is too small. */
  readonly min?: number;
  /** What is larger becomes this; not below `min`. Default: nothing is too large. */
  readonly max?: number;
}

/**
 * `x` with every element within `min` and `max` (`torch.clamp`).
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
      `${g.describe(opType)}: min ${min} and max ${max} leave nothing to do, or nothing between them: give at least ` +
        'one, and no min above max',
    );
  }
  return g.node(opType, [x, ...bounds], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}

/** a + b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const add = (g: Scope, a: Value, b: Value): Value => binary(g, 'Add', a, b);

/** a − b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const sub = (g: Scope, a: Value, b: Value): Value => binary(g, 'Sub', a, b);

/** a · b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const mul = (g: Scope, a: Value, b: Value): Value => binary(g, 'Mul', a, b);

/** a / b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const div = (g: Scope, a: Value, b: Value): Value => binary(g, 'Div', a, b);

/** `x` itself, under another name. Any dtype. */
export function identity(g: Scope, x: Value): Value {
  requireValues(g, 'Identity', { x });
  return g.node('Identity', [x], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}

/**
 * `x` converted to `dtype`, elementwise.
 * @throws GraphError `INVALID_DTYPE` if ONNX has no such dtype.
 */
export function cast(g: Scope, x: Value, dtype: DType): Value {
  requireValues(g, 'Cast', { x });
  if (!Object.hasOwn(ONNX_DTYPE, dtype)) {
    throw new GraphError('INVALID_DTYPE', `${g.describe('Cast')}: ONNX has no dtype '${dtype}'`);
  }
  return g.node('Cast', [x], { to: int(ONNX_DTYPE[dtype]) }, [{ dtype, shape: x.shape }])[0]!;
}

/** An operator of one float `x`, which keeps dtype and shape. */
export function unary(g: Scope, opType: string, x: Value, attributes: Attributes = {}): Value {
  requireValues(g, opType, { x });
  requireFloat(g, opType, x);
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}

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

// SECTION: A choice between two values. Sources: ONNX operator page Where; `torch.where`.

/**
 * `a` where `condition` is true and `b` where it is not, with NumPy's broadcasting of all three (`torch.where`).
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
