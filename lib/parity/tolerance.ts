import type { DType } from '../tensor.js';

/** Pass means |actual − expected| ≤ atol + rtol·|expected| for every element. */
export interface Tolerance {
  /** Relative: times |expected|. */
  readonly rtol: number;
  /** Absolute. */
  readonly atol: number;
}

const DEFAULTS: Partial<Record<DType, Tolerance>> = {
  float16: { rtol: 1e-3, atol: 1e-5 },
  bfloat16: { rtol: 1.6e-2, atol: 1e-5 },
  float32: { rtol: 1.3e-6, atol: 1e-5 },
  float64: { rtol: 1e-7, atol: 1e-7 },
};

/** The defaults of `torch.testing.assert_close` by dtype; integers must be equal. */
export const defaultTolerance = (dtype: DType): Tolerance => DEFAULTS[dtype] ?? { rtol: 0, atol: 0 };
