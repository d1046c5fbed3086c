/** Dimensions in another order. Sources: ONNX operator page Transpose; `torch.permute`. */
import { GraphError } from '../../errors.js';
import type { Scope } from '../builder.js';
import { describeValue, formatList, knownOptions, requireValues, resolveAxes } from '../checks.js';
import { ints, type Value } from '../types.js';

/** Options of {@link transpose}. */
export interface TransposeOptions {
  /** For each dimension of the result the axis that it is of `x`; negative ones count from the end. Default: reversed. */
  readonly perm?: readonly number[];
}

/**
 * `x` with its dimensions in the order of `perm` (`torch.permute`); without one in reverse, as a matrix's `.T`.
 * @param x Any dtype and rank.
 * @returns Dimension i is `x`'s dimension `perm[i]`.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function transpose(g: Scope, x: Value, options: TransposeOptions = {}): Value {
  const opType = 'Transpose';
  const { perm } = knownOptions(g, opType, options, ['perm']);
  requireValues(g, opType, { x });
  const axes = perm === undefined ? x.shape.map((_, axis) => x.rank - 1 - axis) : resolvePerm(g, x, perm);
  const shape = axes.map((axis) => x.shape[axis]!);
  return g.node(opType, [x], { perm: ints(axes) }, [{ dtype: x.dtype, shape }])[0]!;
}

function resolvePerm(g: Scope, x: Value, perm: readonly number[]): number[] {
  if (!Array.isArray(perm) || perm.length !== x.rank) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe('Transpose')}: perm ${formatList(perm)} must have each of the ${x.rank} axes of ${describeValue(x)} once`,
    );
  }
  return x.rank === 0 ? [] : resolveAxes(g, 'Transpose', perm, x);
}
