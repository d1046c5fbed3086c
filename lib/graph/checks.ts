/** Checks of inputs and options that several operators share, and numbers as constants. */
import { GraphError } from '../errors.js';
import { filledTensor, toFloat64Array } from '../half.js';
import { requireKnownOptions } from '../options.js';
import { broadcastPair, compatible, isBroadcastable } from '../shapes/broadcast.js';
import { type DType, FLOAT_DTYPES, formatShape, fromStart, isFloatDType, type Shape } from '../tensor.js';
import type { Scope } from './builder.js';
import { Value } from './types.js';

/** The part of a scope that checks need: it names the place of an operator in messages. */
export type Place = Pick<Scope, 'describe'>;

/** Returns `'x' [N, 4, 8, 8]`, as messages name a value. */
export const describeValue = (value: Value): string => `'${value.name}' ${formatShape(value.shape)}`;

/** Returns the shape that `a` and `b` broadcast to; `undefined` if they do not broadcast. */
export const broadcastShapes = (a: Shape, b: Shape): Shape | undefined =>
  isBroadcastable(a, b) ? broadcastPair(a, b) : undefined;

/** Requires the first argument of every operator, which is easily forgotten in JavaScript: `op.relu(x)`. */
function requireScope(g: Place, opType: string): void {
  if (typeof (g as Partial<Scope> | undefined | null)?.describe === 'function') return;
  throw new GraphError(
    'INVALID_GRAPH',
    `${opType}: its first argument must be the GraphBuilder, or a scope of it, that the node is added to`,
  );
}

/**
 * Requires inputs, given by role, that are values of a graph.
 * @param optional Inputs that may be undefined.
 * @throws GraphError `MISSING_VALUE` if an input is not a value; `INVALID_GRAPH` if `g` is not a builder.
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
    ? `, but the number ${value}; make it a value: g.constant(tensor('float32', [], Float32Array.of(${value})))`
    : '';

/**
 * Returns `options` unchanged, once their names are checked.
 * @throws OptionError `UNKNOWN_OPTION` if the operator does not have an option: `eps` for `epsilon`.
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

/** @throws GraphError `DTYPE_MISMATCH` if the values, except undefined ones, do not all have the same dtype. */
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

/** @throws GraphError `RANK_TOO_LOW`. `layout` describes the dimensions: `(N, C, ...)`. */
export function requireRank(g: Place, opType: string, value: Value, least: number, layout: string): void {
  if (value.rank >= least) return;
  throw new GraphError(
    'RANK_TOO_LOW',
    `${g.describe(opType)}: ${describeValue(value)} has rank ${value.rank}, but the input must be ${layout}, ` +
      `of rank ${least} or more`,
  );
}

/**
 * Returns the number of channels of an (N, C, ...) value.
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

/** @throws GraphError `INVALID_ATTRIBUTE` if a number, given by option, is not finite. */
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
 * Requires a list of `length` integers, each at least `least`.
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
 * Returns an axis of `value`, counted from the start.
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
 * Returns axes of `value`, counted from the start, in the given order.
 * @throws GraphError `INVALID_ATTRIBUTE` if an axis does not exist or appears twice, or if the list is empty.
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

/** Returns a list of numbers as messages show it; anything else as JavaScript prints it. */
export const formatList = (values: readonly number[]): string =>
  Array.isArray(values) ? `[${values.join(', ')}]` : String(values);

/** Returns a constant [] of `dtype` for a number that `dtype` can hold. */
export const scalar = (g: Scope, dtype: DType, value: number): Value =>
  g.constant(filledTensor(dtype, [], value));

/**
 * Returns a constant [] of `dtype` for a number that the caller gives as an option.
 * @throws GraphError `INVALID_ATTRIBUTE` if `dtype` cannot hold the number: NaN, a fraction or an infinity for integers, or
 *   a number that is too large.
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
  // A float may round the number, but must not make it an infinity.
  return isFloat ? Number.isFinite(held) === Number.isFinite(value) : held === value;
}
