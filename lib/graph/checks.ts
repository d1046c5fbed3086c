/** Checks and shape arithmetic that several operators share. */
import { GraphError } from '../errors.js';
import { filledTensor, toFloat64Array } from '../half.js';
import { requireKnownOptions } from '../options.js';
import {
  type Dim,
  type DType,
  FLOAT_DTYPES,
  formatShape,
  fromStart,
  isFloatDType,
  type Shape,
} from '../tensor.js';
import type { Scope } from './builder.js';
import { maxDim } from './dims.js';
import { Value } from './types.js';

/** Where an operator is being made, as messages name it: all that checks need of a scope. */
export type Place = Pick<Scope, 'describe'>;

/** `'x' [N, 4, 8, 8]`, as messages name a value. */
export const describeValue = (value: Value): string => `'${value.name}' ${formatShape(value.shape)}`;

/** Whether two dimensions can be the same size: a name can be any size. */
export const compatible = (a: Dim, b: Dim): boolean =>
  typeof a === 'string' || typeof b === 'string' || a === b;

/** The better known of two dimensions that must be equal at run time: a number, else the shorter expression. */
export function merge(a: Dim, b: Dim): Dim {
  if (typeof a === 'number') return a;
  return typeof b === 'number' || b.length < a.length ? b : a;
}

/** NumPy's broadcasting; `undefined` if the shapes cannot be broadcast. A name against 1 stays a name. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const dimA = a[axis - rank + a.length] ?? 1;
    const dimB = b[axis - rank + b.length] ?? 1;
    if (dimA === 1) result.push(dimB);
    else if (dimB === 1) result.push(dimA);
    else if (!compatible(dimA, dimB)) return undefined;
    // Of two names either may be 1 at run time, so that neither is the result's.
    else if (typeof dimA === 'string' && typeof dimB === 'string') result.push(maxDim(dimA, dimB));
    else result.push(merge(dimA, dimB));
  }
  return result;
}

/** Whether NumPy's broadcasting of `from` to the shape `to` gives exactly `to`. */
export const broadcastsTo = (from: Shape, to: Shape): boolean =>
  from.length <= to.length &&
  from.every((dim, axis) => dim === 1 || compatible(dim, to[axis - from.length + to.length]!));

/** The first argument of every operator, which is easily forgotten in JavaScript: `op.relu(x)`. */
function requireScope(g: Place, opType: string): void {
  if (typeof (g as Partial<Scope> | undefined | null)?.describe === 'function') return;
  throw new GraphError(
    'INVALID_GRAPH',
    `${opType}: its first argument must be the GraphBuilder, or a scope of it, that the node is added to`,
  );
}

/**
 * @param optional Inputs that may be left out.
 * @throws GraphError `MISSING_VALUE` if one of the inputs, given by role, is not a value; `INVALID_GRAPH` if `g` is no
 *   builder.
 */
export function requireValues(
  g: Place,
  opType: string,
  inputs: Readonly<Record<string, Value>>,
  optional: Readonly<Record<string, Value | undefined>> = {},
): void {
  requireScope(g, opType);
  for (const [role, value] of Object.entries({ ...inputs, ...optional })) {
    if (value instanceof Value || (value === undefined && Object.hasOwn(optional, role))) continue;
    const hint = Object.hasOwn(optional, role) ? '; to leave it out, give undefined' : constantHint(value);
    throw new GraphError('MISSING_VALUE', `${g.describe(opType)}: ${role} is not a value of a graph${hint}`);
  }
}

const constantHint = (value: unknown): string =>
  typeof value === 'number'
    ? `, but the number ${value}: make one of it, g.constant(tensor('float32', [], Float32Array.of(${value})))`
    : '';

/**
 * The options of an operator, as they are given.
 * @throws OptionError `UNKNOWN_OPTION` if there is one that it does not have: `eps` for `epsilon`.
 * @throws GraphError `INVALID_GRAPH` if `g` is not a builder.
 */
export function knownOptions<T extends object>(
  g: Place,
  opType: string,
  options: T,
  known: readonly (keyof T & string)[],
): T {
  requireScope(g, opType);
  requireKnownOptions(g.describe(opType), options, known);
  return options;
}

/** @throws GraphError `INVALID_DTYPE` if `value` is not of a float dtype. */
export function requireFloat(g: Place, opType: string, value: Value): void {
  if (isFloatDType(value.dtype)) return;
  throw new GraphError(
    'INVALID_DTYPE',
    `${g.describe(opType)}: ${describeValue(value)} is ${value.dtype}; allowed: ${FLOAT_DTYPES.join(', ')}`,
  );
}

/** @throws GraphError `INVALID_DTYPE` if `value` is neither of a float dtype nor int32 or int64. */
export function requireNumeric(g: Place, opType: string, value: Value): void {
  if (isFloatDType(value.dtype) || value.dtype === 'int32' || value.dtype === 'int64') return;
  throw new GraphError(
    'INVALID_DTYPE',
    `${g.describe(opType)}: ${describeValue(value)} is ${value.dtype}; allowed: ${FLOAT_DTYPES.join(', ')}, int32, int64`,
  );
}

/** @throws GraphError `DTYPE_MISMATCH` if the values that are there are not all of the first one's dtype. */
export function requireSameDType(g: Place, opType: string, ...values: (Value | undefined)[]): void {
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
export function requireRank(g: Place, opType: string, value: Value, least: number, layout: string): void {
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
export function requireChannels(g: Place, opType: string, x: Value): number {
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
export function requirePerChannel(g: Place, opType: string, x: Value, vector: Value, role: string): void {
  const channels = requireChannels(g, opType, x);
  if (vector.rank === 1 && compatible(vector.shape[0]!, channels)) return;
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe(opType)}: ${role} ${describeValue(vector)} does not fit input ${describeValue(x)}: ` +
      `its shape must be [${channels}], one element per channel`,
  );
}

/** @throws GraphError `INVALID_ATTRIBUTE` if `epsilon` is not a finite number; PyTorch takes a negative one too. */
export function requireEpsilon(g: Place, opType: string, epsilon: number): void {
  if (Number.isFinite(Math.fround(epsilon))) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: epsilon ${epsilon} must be a finite float32`,
  );
}

/** @throws GraphError `INVALID_ATTRIBUTE` if one of the numbers, given by option, is not finite. */
export function requireFinite(g: Place, opType: string, numbers: Readonly<Record<string, number>>): void {
  for (const [option, value] of Object.entries(numbers)) {
    if (Number.isFinite(value)) continue;
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe(opType)}: ${option} ${value} must be a finite number`,
    );
  }
}

/**
 * Requires a list of `length` integers, if `least` is given of at least that.
 * @throws GraphError `INVALID_ATTRIBUTE`. `reason` says where the length comes from.
 */
export function requireIntegers(
  g: Place,
  opType: string,
  option: string,
  values: readonly number[],
  { length, least, reason }: { length: number; least?: number; reason: string },
): void {
  const valid = (value: number) => Number.isSafeInteger(value) && value >= (least ?? -Infinity);
  if (Array.isArray(values) && values.length === length && values.every(valid)) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: ${option} ${formatList(values)} must be a list of ${length} integer${length === 1 ? '' : 's'}` +
      `${least === undefined ? '' : ` of at least ${least}`}, ${reason}`,
  );
}

/**
 * An axis of a value of `rank`, counted from the front.
 * @throws GraphError `INVALID_ATTRIBUTE` if there is no such axis.
 */
export function resolveAxis(g: Place, opType: string, axis: number, value: Value): number {
  const { rank } = value;
  if (Number.isSafeInteger(axis) && axis >= -rank && axis < rank) return fromStart(axis, rank);
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: axis ${axis} is not an axis of ${describeValue(value)}; ` +
      (rank === 0 ? 'a scalar has none' : `allowed: ${-rank} to ${rank - 1}`),
  );
}

/**
 * Axes of `value`, counted from the front, in the order in which they are given.
 * @throws GraphError `INVALID_ATTRIBUTE` if one does not exist, is given twice, or if there are none.
 */
export function resolveAxes(g: Place, opType: string, axes: readonly number[], value: Value): number[] {
  if (!Array.isArray(axes) || axes.length === 0) {
    throw new GraphError('INVALID_ATTRIBUTE', `${g.describe(opType)}: axes must name at least one axis`);
  }
  const resolved = axes.map((axis: number) => resolveAxis(g, opType, axis, value));
  if (new Set(resolved).size === resolved.length) return resolved;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: axes ${formatList(axes)} name an axis of ${describeValue(value)} twice`,
  );
}

/** A list of numbers as messages show it; anything else as JavaScript would print it. */
export const formatList = (values: readonly number[]): string =>
  Array.isArray(values) ? `[${values.join(', ')}]` : String(values);

// SECTION: One number as a constant of a graph.

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
