/** Elementwise operators. Sources: the ONNX operator pages of the same names. */
import { GraphError } from '../../errors.js';
import { formatShape, isFloatDType, type DType } from '../../tensor.js';
import type { Scope } from '../builder.js';
import { broadcastShapes, requireFloat, requireSameDType } from '../checks.js';
import { ONNX_DTYPE } from '../onnx-dtype.js';
import { int, type Value } from '../types.js';

/** max(x, 0): any float `x`, same shape. */
export const relu = (g: Scope, x: Value): Value => unary(g, 'Relu', x);

/** 1 / (1 + exp(−x)): any float `x`, same shape. */
export const sigmoid = (g: Scope, x: Value): Value => unary(g, 'Sigmoid', x);

/** √x: any float `x`, same shape; NaN below 0. */
export const sqrt = (g: Scope, x: Value): Value => unary(g, 'Sqrt', x);

/** x·sigmoid(x), PyTorch's `SiLU`, as Sigmoid and Mul. */
export const silu = (g: Scope, x: Value): Value => mul(g, x, sigmoid(g, x));

/** a + b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const add = (g: Scope, a: Value, b: Value): Value => binary(g, 'Add', a, b);

/** a − b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const sub = (g: Scope, a: Value, b: Value): Value => binary(g, 'Sub', a, b);

/** a · b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const mul = (g: Scope, a: Value, b: Value): Value => binary(g, 'Mul', a, b);

/** a / b with NumPy's broadcasting. @throws GraphError `DTYPE_MISMATCH` or `SHAPE_MISMATCH`. */
export const div = (g: Scope, a: Value, b: Value): Value => binary(g, 'Div', a, b);

/** `x` itself, under another name. Any dtype. */
export const identity = (g: Scope, x: Value): Value =>
  g.node('Identity', [x], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;

/**
 * `x` converted to `dtype`, elementwise.
 * @throws GraphError `INVALID_DTYPE` if ONNX has no such dtype.
 */
export function cast(g: Scope, x: Value, dtype: DType): Value {
  const to = (ONNX_DTYPE as Partial<Record<DType, number>>)[dtype];
  if (to === undefined) {
    throw new GraphError('INVALID_DTYPE', `${g.describe('Cast')}: ONNX has no dtype '${dtype}'`);
  }
  return g.node('Cast', [x], { to: int(to) }, [{ dtype, shape: x.shape }])[0]!;
}

function unary(g: Scope, opType: string, x: Value): Value {
  requireFloat(g, opType, x);
  return g.node(opType, [x], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}

function binary(g: Scope, opType: string, a: Value, b: Value): Value {
  requireSameDType(g, opType, a, b);
  if (!isFloatDType(a.dtype) && a.dtype !== 'int64' && a.dtype !== 'int32') {
    throw new GraphError(
      'INVALID_DTYPE',
      `${g.describe(opType)}: '${a.name}' is ${a.dtype}; allowed: floats, int32 and int64`,
    );
  }
  const shape = broadcastShapes(a.shape, b.shape);
  if (!shape) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: '${a.name}' ${formatShape(a.shape)} and '${b.name}' ${formatShape(b.shape)} do not broadcast`,
    );
  }
  return g.node(opType, [a, b], {}, [{ dtype: a.dtype, shape }])[0]!;
}
