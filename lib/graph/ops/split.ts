/** One value cut into several. Sources: ONNX operator page Split; `torch.split`. */
import { GraphError } from '../../errors.js';
import { int64Vector } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  compatible,
  describeValue,
  formatList,
  knownOptions,
  requireIntegers,
  requireValues,
  resolveAxis,
} from '../checks.js';
import { int, type Value } from '../types.js';

/** Options of {@link split}. */
export interface SplitOptions {
  /** The axis that is cut; a negative one counts from the end. */
  readonly axis: number;
  /** The size of each part along it, at least 0; they add up to the axis's. */
  readonly sizes: readonly number[];
}

/**
 * `x` cut along `axis` into one part for each of `sizes` (`torch.split` with a list; `torch.chunk` with equal ones).
 * @param x Any dtype, rank 1 or more. Where the size of the axis is a name, the runtime compares it with the sum.
 * @returns The parts, in order.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function split(g: Scope, x: Value, options: SplitOptions): Value[] {
  const opType = 'Split';
  const { axis, sizes } = knownOptions(g, opType, options, ['axis', 'sizes']);
  requireValues(g, opType, { x });
  const along = resolveAxis(g, opType, axis, x);
  const length = Array.isArray(sizes) ? Math.max(sizes.length, 1) : 1;
  requireIntegers(g, opType, 'sizes', sizes, { length, least: 0, reason: 'one for each part' });
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (!compatible(x.shape[along]!, sum)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: sizes ${formatList(sizes)} add up to ${sum}, but axis ${along} of ${describeValue(x)} is ` +
        `${x.shape[along]}`,
    );
  }
  const parts = sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(along, size) }));
  return g.node(opType, [x, g.constant(int64Vector(sizes), 'split')], { axis: int(along) }, parts);
}
