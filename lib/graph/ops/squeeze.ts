/**
 * Dimensions of size 1, taken away and added. Sources: ONNX operator pages Squeeze and Unsqueeze; `torch.squeeze`,
 * `unsqueeze`.
 */
import { GraphError } from '../../errors.js';
import { fromStart, int64Vector, type Dim } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  compatible,
  describeValue,
  formatList,
  knownOptions,
  requireValues,
  resolveAxes,
} from '../checks.js';
import type { Value } from '../types.js';

/** Options of {@link squeeze}. */
export interface SqueezeOptions {
  /** Dimensions of size 1 to take away, at least one; negative ones count from the end. */
  readonly axes: readonly number[];
}

/** Options of {@link unsqueeze}. */
export interface UnsqueezeOptions {
  /** Where the result has its new dimensions of size 1, at least one; negative ones count from the result's end. */
  readonly axes: readonly number[];
}

/**
 * `x` without the dimensions `axes`, which must be of size 1 (`torch.squeeze`).
 * @param x Any dtype; where a size is a name, the runtime sees to it that it is 1.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function squeeze(g: Scope, x: Value, options: SqueezeOptions): Value {
  const opType = 'Squeeze';
  const { axes } = knownOptions(g, opType, options, ['axes']);
  requireValues(g, opType, { x });
  const gone = resolveAxes(g, opType, axes, x);
  const large = gone.find((axis) => !compatible(x.shape[axis]!, 1));
  if (large !== undefined) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: axis ${large} of ${describeValue(x)} is ${x.shape[large]}, but only one of size 1 can go`,
    );
  }
  const shape = x.shape.filter((_, axis) => !gone.includes(axis));
  return g.node(opType, [x, g.constant(int64Vector(gone), 'axes')], {}, [{ dtype: x.dtype, shape }])[0]!;
}

/**
 * `x` with new dimensions of size 1 at `axes` of the result (`torch.unsqueeze`).
 * @param x Any dtype and rank.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function unsqueeze(g: Scope, x: Value, options: UnsqueezeOptions): Value {
  const opType = 'Unsqueeze';
  const { axes } = knownOptions(g, opType, options, ['axes']);
  requireValues(g, opType, { x });
  const added = requireNewAxes(g, x, axes);
  const shape: Dim[] = [...x.shape];
  for (const axis of [...added].sort((a, b) => a - b)) shape.splice(axis, 0, 1);
  return g.node(opType, [x, g.constant(int64Vector(added), 'axes')], {}, [{ dtype: x.dtype, shape }])[0]!;
}

/** Axes of the result, counted from the front. */
function requireNewAxes(g: Scope, x: Value, axes: readonly number[]): number[] {
  const rank = x.rank + (Array.isArray(axes) ? axes.length : 0);
  const isAxis = (axis: number) => Number.isSafeInteger(axis) && axis >= -rank && axis < rank;
  if (rank > x.rank && axes.every(isAxis)) {
    const added = axes.map((axis) => fromStart(axis, rank));
    if (new Set(added).size === added.length) return added;
  }
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Unsqueeze')}: axes ${formatList(axes)} must be one or more different axes of the result, which is ` +
      `${describeValue(x)} with them${rank > x.rank ? `: ${-rank} to ${rank - 1}` : ''}`,
  );
}
