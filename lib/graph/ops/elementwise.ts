/** Elementwise operators. Sources: the ONNX operator pages of the same names. */
import { GraphError } from '../../errors.js';
import { tensor, type DType } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  broadcastShapes,
  describeValue,
  requireFloat,
  requireNumeric,
  requireSameDType,
  requireValues,
} from '../checks.js';
import { ONNX_DTYPE } from '../onnx-dtype.js';
import { int, type Value } from '../types.js';

/** max(x, 0): any float `x`, same shape. */
export const relu = (g: Scope, x: Value): Value => unary(g, 'Relu', x);

/** 1 / (1 + exp(−x)): any float `x`, same shape. */
export const sigmoid = (g: Scope, x: Value): Value => unary(g, 'Sigmoid', x);

/** √x: any float `x`, same shape; NaN below 0. */
export const sqrt = (g: Scope, x: Value): Value => unary(g, 'Sqrt', x);

/**
 * x·sigmoid(x), PyTorch's `SiLU`, as Sigmoid and Mul; in float64 as x / (1 + exp(−x)), as PyTorch computes it:
 * ONNX Runtime makes QuickGelu of the former, of which it has no float64 kernel, and its Sigmoid is 0 below −37.
 */
export function silu(g: Scope, x: Value): Value {
  requireValues(g, 'Sigmoid', { x });
  if (x.dtype !== 'float64') return mul(g, x, sigmoid(g, x));
  const one = g.constant(tensor('float64', [], Float64Array.of(1)));
  return div(g, x, add(g, one, unary(g, 'Exp', unary(g, 'Neg', x))));
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

function unary(g: Scope, opType: string, x: Value): Value {
  requireValues(g, opType, { x });
  requireFloat(g, opType, x);
  return g.node(opType, [x], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;
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
