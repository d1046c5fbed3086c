/** GELU. Sources: Hendrycks & Gimpel 2016, arXiv:1606.08415; `torch.nn.GELU`; ONNX operator page Gelu. */
import { GraphError } from '../../errors.js';
import type { Scope } from '../builder.js';
import { knownOptions, requireFloat, requireValues, resolveAxis, scalar } from '../checks.js';
import { int } from '../attr.js';
import type { Value } from '../types.js';
import { add, cast, div, mul, tanh, unary } from './elementwise.js';

const APPROXIMATIONS = ['none', 'tanh'] as const;

/** Options of {@link gelu}. */
export interface GeluOptions {
  /** `none`: by erf. `tanh`: by tanh, as GPT-2 has it. Default `none`. */
  readonly approximate?: (typeof APPROXIMATIONS)[number];
}

/**
 * `torch.nn.GELU`: x · Φ(x), with Φ the normal distribution's: x · (1 + erf(x / √2)) / 2, or with `approximate: 'tanh'`
 * x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) / 2.
 *
 * It is written in the operators of every opset and not as Gelu, which is there from opset 20 on: the body that ONNX
 * gives Gelu has its constants in float32, so that a float64 model would be off by 6e-9. Of the form by erf ONNX Runtime
 * makes its own Gelu. float16 and bfloat16 are float32 in between, as in PyTorch, because 1 + erf cancels.
 *
 * In float64 ONNX Runtime has no kernel for Erf on the CPU (nor for Gelu) and refuses the model; `tanh` runs.
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

/** In the order of nodes that ONNX Runtime knows as Gelu. */
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

// SECTION: Softmax. Sources: ONNX operator page Softmax; `torch.nn.Softmax`.

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
