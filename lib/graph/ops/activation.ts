/**
 * Activation functions. Sources: the ONNX operator pages of the same names; `torch.nn`'s modules; of GELU Hendrycks &
 * Gimpel 2016, arXiv:1606.08415.
 */
import { GraphError } from '../../errors.js';
import { float, int } from '../attr.js';
import type { Scope } from '../builder.js';
import { knownOptions, requireFinite, requireFloat, requireValues, resolveAxis, scalar } from '../checks.js';
import type { Value } from '../types.js';
import { add, cast, div, mul, sub, unary } from './arithmetic.js';

/** Returns max(x, 0), for any float `x`. */
export const relu = (g: Scope, x: Value): Value => unary(g, 'Relu', x);

/** Returns 1 / (1 + exp(−x)), for any float `x`. */
export const sigmoid = (g: Scope, x: Value): Value => unary(g, 'Sigmoid', x);

/** Returns tanh(x), for any float `x`. */
export const tanh = (g: Scope, x: Value): Value => unary(g, 'Tanh', x);

/**
 * Returns x·sigmoid(x), PyTorch's `SiLU`, as Sigmoid and Mul. In float64 the nodes are x / (1 + exp(−x)), PyTorch's formula:
 * ONNX Runtime fuses Sigmoid and Mul into QuickGelu, which has no float64 kernel, and its Sigmoid is 0 below −37.
 */
export function silu(g: Scope, x: Value): Value {
  requireValues(g, 'Sigmoid', { x });
  if (x.dtype !== 'float64') return mul(g, x, sigmoid(g, x));
  return div(g, x, add(g, scalar(g, 'float64', 1), unary(g, 'Exp', unary(g, 'Neg', x))));
}

/**
 * Returns x·tanh(ln(1 + exp(x))), PyTorch's `Mish`, for any float `x`, as Softplus, Tanh and Mul: ONNX's Mish exists from
 * opset 18 on. ONNX Runtime's CPU provider has no float64 kernel for Softplus and refuses the model.
 */
export const mish = (g: Scope, x: Value): Value => mul(g, x, tanh(g, unary(g, 'Softplus', x)));

/** Options of {@link leakyRelu}. */
export interface LeakyReluOptions {
  /** Slope below 0. Default 0.01. */
  readonly alpha?: number;
}

/**
 * Returns x where x is above 0, and alpha · x elsewhere (`torch.nn.LeakyReLU`, whose option is `negative_slope`). In float64
 * the nodes are max(x, 0) − alpha · max(−x, 0), because ONNX Runtime has no float64 kernel for LeakyRelu.
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

/** Options of {@link softmax}. */
export interface SoftmaxOptions {
  /** The axis along which the results sum to 1; a negative one counts from the end. Default −1. */
  readonly axis?: number;
}

/**
 * Returns exp(x) / Σ exp(x) along `axis` (`torch.softmax`); large elements do not overflow.
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

const APPROXIMATIONS = ['none', 'tanh'] as const;

/** Options of {@link gelu}. */
export interface GeluOptions {
  /** `none` computes with erf, `tanh` with tanh, as GPT-2 does. Default `none`. */
  readonly approximate?: (typeof APPROXIMATIONS)[number];
}

/**
 * Returns x · Φ(x) with the normal distribution's Φ (`torch.nn.GELU`): x · (1 + erf(x / √2)) / 2, or with
 * `approximate: 'tanh'` x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) / 2.
 *
 * The nodes are operators of every opset. ONNX's Gelu exists from opset 20 on, and its body has constants in float32, so
 * that a float64 model would be off by 6e-9. ONNX Runtime fuses the form with erf into its own Gelu. float16 and bfloat16
 * compute in float32, as in PyTorch, because 1 + erf cancels.
 *
 * ONNX Runtime's CPU provider has no float64 kernel for Erf or Gelu and refuses the model; `tanh` runs.
 * @param x Any float.
 * @returns The same dtype and shape.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function gelu(g: Scope, x: Value, options: GeluOptions = {}): Value {
  const opType = 'Gelu';
  const { approximate = 'none' } = knownOptions(g, opType, options, ['approximate']);
  requireValues(g, opType, { x });
  requireFloat(g, opType, x);
  if (!APPROXIMATIONS.includes(approximate)) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe(opType)}: approximate '${String(approximate)}' is not one of ${APPROXIMATIONS.join(', ')}`,
    );
  }
  const formula = approximate === 'tanh' ? byTanh : byErf;
  if (x.dtype !== 'float16' && x.dtype !== 'bfloat16') return formula(g, x);
  return cast(g, formula(g, cast(g, x, 'float32')), x.dtype);
}

/** ONNX Runtime fuses nodes in this order into Gelu. */
function byErf(g: Scope, x: Value): Value {
  const erf = unary(g, 'Erf', div(g, x, scalar(g, x.dtype, Math.SQRT2)));
  return timesHalfOfOnePlus(g, x, erf);
}

function byTanh(g: Scope, x: Value): Value {
  const cube = mul(g, mul(g, x, x), x);
  const inner = add(g, x, mul(g, cube, scalar(g, x.dtype, 0.044715)));
  return timesHalfOfOnePlus(g, x, tanh(g, mul(g, inner, scalar(g, x.dtype, Math.sqrt(2 / Math.PI)))));
}

const timesHalfOfOnePlus = (g: Scope, x: Value, y: Value): Value =>
  mul(g, mul(g, x, add(g, y, scalar(g, x.dtype, 1))), scalar(g, x.dtype, 0.5));
