/** One number as a constant of a graph. */
import { GraphError } from '../errors.js';
import { filledTensor, toFloat64Array } from '../half.js';
import { isFloatDType, type DType } from '../tensor.js';
import type { Scope } from './builder.js';
import type { Value } from './types.js';

/** A constant [] of `dtype`, for a number that an operator knows to be one of it. */
export const scalar = (g: Scope, dtype: DType, value: number): Value =>
  g.constant(filledTensor(dtype, [], value));

/**
 * The same for a number that a caller gives as an option.
 * @throws GraphError `INVALID_ATTRIBUTE` if `dtype` has no such number: NaN, a fraction or an infinity of integers, or
 *   what is too large for it.
 */
export function scalarOption(g: Scope, opType: string, option: string, value: number, dtype: DType): Value {
  if (isHeld(value, dtype)) return scalar(g, dtype, value);
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: ${option} ${String(value)} must be a number that ${dtype} can hold`,
  );
}

function isHeld(value: number, dtype: DType): boolean {
  const isFloat = isFloatDType(dtype);
  if (typeof value !== 'number' || Number.isNaN(value) || (!isFloat && !Number.isSafeInteger(value)))
    return false;
  const [held] = toFloat64Array(filledTensor(dtype, [], value));
  // Rounding is what a float does; only what it makes an infinity of is too large.
  return isFloat ? Number.isFinite(held) === Number.isFinite(value) : held === value;
}
