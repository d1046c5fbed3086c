/** Checks and shape arithmetic that several operators share. */
import { GraphError } from '../errors.js';
import { FLOAT_DTYPES, formatShape, isFloatDType, type Dim, type Shape } from '../tensor.js';
import type { Scope } from './builder.js';
import type { Value } from './types.js';

/** `'x' [N, 4, 8, 8]`, as messages name a value. */
export const describeValue = (value: Value): string => `'${value.name}' ${formatShape(value.shape)}`;

/** Whether two dimensions can be the same size: a name can be any size. */
export const compatible = (a: Dim, b: Dim): boolean => typeof a === 'string' || typeof b === 'string' || a === b;

/** The better known of two compatible dimensions. */
export const merge = (a: Dim, b: Dim): Dim => (typeof a === 'string' ? b : a);

/** NumPy's broadcasting; `undefined` if the shapes cannot be broadcast. A name against 1 stays a name. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const dimA = a[axis - rank + a.length] ?? 1;
    const dimB = b[axis - rank + b.length] ?? 1;
    if (dimA === 1) result.push(dimB);
    else if (dimB === 1) result.push(dimA);
    else if (compatible(dimA, dimB)) result.push(dimA === dimB ? dimA : merge(dimA, dimB));
    else return undefined;
  }
  return result;
}

/** @throws GraphError `INVALID_DTYPE` if `value` is not of a float dtype. */
export function requireFloat(g: Scope, opType: string, value: Value): void {
  if (isFloatDType(value.dtype)) return;
  throw new GraphError(
    'INVALID_DTYPE',
    `${g.describe(opType)}: ${describeValue(value)} is ${value.dtype}; allowed: ${FLOAT_DTYPES.join(', ')}`,
  );
}

/** @throws GraphError `DTYPE_MISMATCH` if the values that are there are not all of the first one's dtype. */
export function requireSameDType(g: Scope, opType: string, ...values: (Value | undefined)[]): void {
  const [first, ...others] = values.filter((value) => value !== undefined);
  const odd = others.find((value) => value.dtype !== first!.dtype);
  if (!odd) return;
  throw new GraphError(
    'DTYPE_MISMATCH',
    `${g.describe(opType)}: ${describeValue(first!)} is ${first!.dtype} but ${describeValue(odd)} is ${odd.dtype}; ` +
      'both must be the same: add a cast',
  );
}

/** @throws GraphError `RANK_TOO_LOW`. `layout` says what the dimensions are: `(N, C, ...)`. */
export function requireRank(g: Scope, opType: string, value: Value, least: number, layout: string): void {
  if (value.rank >= least) return;
  throw new GraphError(
    'RANK_TOO_LOW',
    `${g.describe(opType)}: ${describeValue(value)} has rank ${value.rank}, but the input must be ${layout}, ` +
      `of rank ${least} or more`,
  );
}

/**
 * The number of channels of an (N, C, ...) value.
 * @throws GraphError `INVALID_SHAPE` if it is a name: weights need a fixed number.
 */
export function requireChannels(g: Scope, opType: string, x: Value): number {
  const channels = x.shape[1];
  if (typeof channels === 'number') return channels;
  throw new GraphError(
    'INVALID_SHAPE',
    `${g.describe(opType)}: ${describeValue(x)}: the channel dimension must be a number, because weights depend on it`,
  );
}

/**
 * Requires a vector with one element for each of `x`'s channels.
 * @throws GraphError `SHAPE_MISMATCH` naming both shapes.
 */
export function requirePerChannel(g: Scope, opType: string, x: Value, vector: Value, role: string): void {
  const channels = requireChannels(g, opType, x);
  if (vector.rank === 1 && compatible(vector.shape[0]!, channels)) return;
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe(opType)}: ${role} ${describeValue(vector)} does not fit input ${describeValue(x)}: ` +
      `its shape must be [${channels}], one element a channel`,
  );
}

/** @throws GraphError `INVALID_ATTRIBUTE` if `epsilon` is not a finite number of at least 0. */
export function requireEpsilon(g: Scope, opType: string, epsilon: number): void {
  if (Number.isFinite(epsilon) && epsilon >= 0) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: epsilon ${epsilon} must be a finite number of at least 0`,
  );
}
