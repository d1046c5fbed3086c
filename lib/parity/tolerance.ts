/** How far an output may be from the expected tensor. */
import { OptionError } from '../errors.js';
import { isFloatDType, type DType } from '../tensor.js';

/** How far an output may be off: |actual − expected| ≤ atol + rtol·|expected| for every element. */
export interface Tolerance {
  /** The relative tolerance, a factor of |expected|; at least 0. */
  readonly rtol: number;
  /** The absolute tolerance, in the unit of the elements; at least 0. */
  readonly atol: number;
}

const DEFAULTS: Partial<Record<DType, Tolerance>> = {
  float16: { rtol: 1e-3, atol: 1e-5 },
  bfloat16: { rtol: 1.6e-2, atol: 1e-5 },
  float32: { rtol: 1.3e-6, atol: 1e-5 },
  float64: { rtol: 1e-7, atol: 1e-7 },
};

/** @throws OptionError `INVALID_OPTION` if rtol or atol is not a finite number of at least 0. */
export function requireTolerance(tolerance: Tolerance): void {
  for (const name of ['rtol', 'atol'] as const) {
    const value: unknown = (tolerance as Tolerance | undefined | null)?.[name];
    if (typeof value === 'number' && value >= 0 && value < Infinity) continue;
    throw new OptionError(
      'INVALID_OPTION',
      `the tolerance's ${name} must be a finite number of at least 0, not ${String(value)}`,
    );
  }
}

/** Returns the default tolerance of `torch.testing.assert_close` for a dtype; integers and bool must be equal. */
export const defaultTolerance = (dtype: DType): Tolerance => DEFAULTS[dtype] ?? { rtol: 0, atol: 0 };

/** Returns the tolerance for a tensor: the given one, or the default; integers and bool must be equal in any case. */
export function toleranceFor(
  dtype: DType,
  { rtol, atol }: { readonly rtol?: number | undefined; readonly atol?: number | undefined },
): Tolerance {
  const standard = defaultTolerance(dtype);
  return isFloatDType(dtype) ? { rtol: rtol ?? standard.rtol, atol: atol ?? standard.atol } : standard;
}
