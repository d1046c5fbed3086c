/**
 * Rows that are normalized in arithmetic: ONNX's definition of GroupNormalization, which ONNX Runtime saves in the
 * operator's place (`optimizedModelFilePath`) and `onnx.inliner` writes; Keras 3's GroupNormalization; GroupNorm written by
 * hand in PyTorch.
 *
 *     (r − m) ÷ √(v + ε)
 *     r · f + (β − m · f)  with f = γ ÷ √(v + ε)
 *
 * match if
 *
 * - r has a known rank of at least 3 and one float dtype, and the size of its group axis is known: axis 1 of (N, G, …), or
 *   the last but one of (N, …, G, D);
 * - m is the mean of r over all axes but the first and the group axis, or their sum ÷ n, n being the length of a row;
 * - v is the mean of (r − m)², or the mean of r² less m², over the same axes; or n ÷ (n − 1) times the former, as PyTorch's
 *   `var` is by default; n may be known at run time only;
 * - m and v have the shape of r with 1 in place of the other axes, in every run;
 * - ε is a constant scalar, and so is every other number.
 *
 * γ and β are the caller's to check. Identity, and Cast to the dtype that a value has, may stand in between.
 */
import { toFloat64Array } from '../../half.js';
import type { GraphIndex } from '../../onnx/graph/graph-index.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { productDim } from '../../shapes/dims.js';
import { type Dim, elementCount, fromStart, isFloatDType, isStatic, UNKNOWN_DIM } from '../../tensor.js';
import { isOp, outputOf } from '../analysis/patterns.js';
import type { ValueTypes } from '../analysis/value-types.js';

/** The normalization of the rows of a value. */
export interface RowNorm {
  /** The node that the result, or that of γ and β, comes from. */
  readonly last: ModelNode;
  /** r: (N, G, …), or (N, …, G, D) if `groupAxis` is not 1. */
  readonly rows: string;
  readonly groupAxis: number;
  readonly epsilon: number;
  /** The number that the result is multiplied by; `undefined` means 1. */
  readonly gain?: number | undefined;
  /** Whether v is n ÷ (n − 1) times the variance, n being known at run time only. */
  readonly isCorrected?: boolean | undefined;
  /** γ, which broadcasts to r. */
  readonly scale?: string | undefined;
  /** β, which broadcasts to r. */
  readonly bias?: string | undefined;
  /** Whether the variance is E[r²] − E[r]², which float32 loses digits in. */
  readonly isUnstable?: boolean | undefined;
}

/** Returns the normalization that ends in a node. */
export function matchWrittenNorm(types: ValueTypes, node: ModelNode): RowNorm | undefined {
  const found =
    isOp(node, 'Div') || isOp(node, 'Mul')
      ? matchQuotient(types, node)
      : isOp(node, 'Add') || isOp(node, 'Sub')
        ? matchFactored(types, node)
        : undefined;
  const statistics = found && statisticsOf(types, found);
  return statistics && { last: node, rows: found.rows, scale: found.scale, bias: found.bias, ...statistics };
}

/** What a normalization is made of, before the statistics are looked into. */
interface Parts {
  readonly rows: string;
  readonly mean: string;
  /** v + ε. */
  readonly sum: string;
  readonly scale?: string | undefined;
  readonly bias?: string | undefined;
}

/** Matches (r − m) ÷ √(v + ε), and (r − m) times the reciprocal. */
function matchQuotient(types: ValueTypes, node: ModelNode): Parts | undefined {
  const [first, second] = node.inputs;
  const pairs = isOp(node, 'Div')
    ? [{ centred: first, sum: squareOfDeviation(types, second) }]
    : [
        { centred: first, sum: squareOfReciprocal(types, second) },
        { centred: second, sum: squareOfReciprocal(types, first) },
      ];
  for (const { centred, sum } of pairs) {
    const difference = producerOf(types, centred, 'Sub');
    if (difference && sum !== undefined)
      return { rows: sourceOf(types, difference.inputs[0]!), mean: difference.inputs[1]!, sum };
  }
  return undefined;
}

/** Matches r · f + (β − m · f), in each of the orders in which it can be written. */
function matchFactored(types: ValueTypes, node: ModelNode): Parts | undefined {
  const [a, b] = node.inputs as [string, string];
  for (const [product, offset] of isOp(node, 'Add') ? inBothOrders([a, b]) : [[a, b] as const]) {
    const scaled = producerOf(types, product, 'Mul');
    for (const [rows, factor] of scaled ? inBothOrders(scaled.inputs) : []) {
      const found = matchFactor(types, factor);
      const rest = found && matchOffset(types, offset, factor, isOp(node, 'Sub'));
      if (found && rest) return { rows: sourceOf(types, rows), ...found, ...rest };
    }
  }
  return undefined;
}

/** Matches γ ÷ √(v + ε). */
function matchFactor(types: ValueTypes, factor: string): Pick<Parts, 'sum' | 'scale'> | undefined {
  const sum = squareOfReciprocal(types, factor);
  if (sum !== undefined) return { sum };
  const quotient = producerOf(types, factor, 'Div');
  const divisor = quotient && squareOfDeviation(types, quotient.inputs[1]);
  if (divisor !== undefined) return { sum: divisor, scale: quotient!.inputs[0]! };
  const product = producerOf(types, factor, 'Mul');
  for (const [scale, reciprocal] of product ? inBothOrders(product.inputs) : []) {
    const inner = squareOfReciprocal(types, reciprocal);
    if (inner !== undefined) return { sum: inner, scale };
  }
  return undefined;
}

/** Matches β − m · f, or m · f if it is subtracted. */
function matchOffset(
  types: ValueTypes,
  offset: string,
  factor: string,
  isSubtracted: boolean,
): Pick<Parts, 'mean' | 'bias'> | undefined {
  const shift = isSubtracted ? shiftOf(types, offset, factor) : negatedShiftOf(types, offset, factor);
  if (shift !== undefined) return { mean: shift };
  if (isSubtracted) return undefined;
  const difference = producerOf(types, offset, 'Sub');
  const subtracted = difference && shiftOf(types, difference.inputs[1]!, factor);
  if (subtracted !== undefined) return { mean: subtracted, bias: difference!.inputs[0]! };
  const sum = producerOf(types, offset, 'Add');
  for (const [bias, negated] of sum ? inBothOrders(sum.inputs) : []) {
    const mean = negatedShiftOf(types, negated, factor);
    if (mean !== undefined) return { mean, bias };
  }
  return undefined;
}

/** Returns m, if a value is m · f. */
function shiftOf(types: ValueTypes, name: string, factor: string): string | undefined {
  const product = producerOf(types, name, 'Mul');
  const isFactor = (input: string) => sourceOf(types, input) === sourceOf(types, factor);
  return product && inBothOrders(product.inputs).find(([, other]) => isFactor(other))?.[0];
}

/** Returns m, if a value is −(m · f), or (−m) · f. */
function negatedShiftOf(types: ValueTypes, name: string, factor: string): string | undefined {
  const whole = producerOf(types, name, 'Neg');
  if (whole) return shiftOf(types, whole.inputs[0]!, factor);
  const mean = shiftOf(types, name, factor);
  return mean === undefined ? undefined : producerOf(types, mean, 'Neg')?.inputs[0];
}

/** Returns s, if a value is √s. */
function squareOfDeviation(types: ValueTypes, name: string | undefined): string | undefined {
  const root = producerOf(types, name, 'Sqrt');
  return root ? root.inputs[0] : baseOf(types, name, 0.5);
}

/** Returns s, if a value is 1 ÷ √s. */
function squareOfReciprocal(types: ValueTypes, name: string | undefined): string | undefined {
  const reciprocal = producerOf(types, name, 'Reciprocal');
  if (reciprocal) return squareOfDeviation(types, reciprocal.inputs[0]);
  const quotient = producerOf(types, name, 'Div');
  if (quotient && scalarOf(types, quotient.inputs[0]) === 1)
    return squareOfDeviation(types, quotient.inputs[1]);
  return baseOf(types, name, -0.5);
}

/** Returns b, if a value is b to this power. */
function baseOf(types: ValueTypes, name: string | undefined, exponent: number): string | undefined {
  const power = producerOf(types, name, 'Pow');
  return power && scalarOf(types, power.inputs[1]) === exponent ? power.inputs[0] : undefined;
}

type Statistics = Pick<RowNorm, 'groupAxis' | 'epsilon' | 'gain' | 'isCorrected' | 'isUnstable'>;

/** Checks that the parts are the mean and the variance of rows. */
function statisticsOf(types: ValueTypes, { rows, mean, sum }: Parts): Statistics | undefined {
  const { shape } = types.typeOf(rows);
  const axes = shape && axesOfMean(types, mean, rows);
  const groupAxis = axes && groupAxisOf(axes, shape.length);
  const addition = producerOf(types, sum, 'Add');
  if (!axes || groupAxis === undefined || !addition) return undefined;
  const groups = shape[groupAxis];
  if (typeof groups !== 'number' || groups < 1) return undefined;
  for (const [variance, second] of inBothOrders(addition.inputs)) {
    const epsilon = scalarOf(types, second, shape.length);
    const isKept = epsilon !== undefined && hasKeptShape(types, variance, rows, axes);
    const found = isKept ? matchVariance(types, variance, rows, axes) : undefined;
    // With n ÷ (n − 1) = 1 / g², the quotient is g · (r − m) ÷ √(v + g² · ε).
    if (found) return { groupAxis, isUnstable: found.isUnstable, ...corrected(epsilon!, found.correction) };
  }
  return undefined;
}

function corrected(
  epsilon: number,
  correction: Variance['correction'],
): Pick<RowNorm, 'epsilon' | 'gain' | 'isCorrected'> {
  if (correction === undefined) return { epsilon };
  if (correction === AT_RUN) return { epsilon, isCorrected: true };
  return { epsilon: epsilon / correction, gain: Math.sqrt(1 / correction) };
}

/** Stands for n ÷ (n − 1) where n is known at run time only. */
const AT_RUN = 'at run';

interface Variance {
  readonly isUnstable: boolean;
  /** n ÷ (n − 1), if the variance is multiplied by it. */
  readonly correction?: number | typeof AT_RUN;
}

function matchVariance(
  types: ValueTypes,
  name: string,
  rows: string,
  axes: readonly number[],
): Variance | undefined {
  const moved = unmoved(types, name);
  const difference = producerOf(types, moved, 'Sub');
  if (difference) {
    const [ofSquares, square] = difference.inputs as [string, string];
    const mean = baseOfSquare(types, square);
    const isVariance = isMean(types, mean, rows, axes) && isMeanOfSquares(types, ofSquares, rows, axes, true);
    return isVariance ? { isUnstable: true } : undefined;
  }
  const quotient = producerOf(types, moved, 'Div');
  const product = quotient && producerOf(types, quotient.inputs[0], 'Mul');
  if (!product) return isCentredSquares(types, name, rows, axes) ? { isUnstable: false } : undefined;
  const length = rowLengthOf(types, rows, axes);
  if (length === UNKNOWN_DIM || length === 1) return undefined;
  const isCorrected = inBothOrders(product.inputs).some(
    ([variance, factor]) => isNumber(types, factor, length) && isCentredSquares(types, variance, rows, axes),
  );
  if (!isCorrected || !isOneLess(types, quotient.inputs[1], length)) return undefined;
  return { isUnstable: false, correction: typeof length === 'number' ? length / (length - 1) : AT_RUN };
}

/** Returns whether a value is a number, or a size of this name. */
const isNumber = (types: ValueTypes, name: string, dim: Dim): boolean =>
  typeof dim === 'number'
    ? scalarOf(types, name) === dim
    : dim !== UNKNOWN_DIM && sizeOf(types, name) === dim;

/** Returns whether a value is a number or a size of this name, less 1. */
function isOneLess(types: ValueTypes, name: string | undefined, dim: Dim): boolean {
  if (typeof dim === 'number') return scalarOf(types, name) === dim - 1;
  const difference = name === undefined ? undefined : types.index.producer(uncast(types, name));
  if (!difference || !isOp(difference, 'Sub')) return false;
  const [first, second] = difference.inputs;
  return sizeOf(types, first!) === dim && scalarOf(types, second) === 1;
}

/** Returns the size that a scalar is in every run, by its name. */
function sizeOf(types: ValueTypes, name: string): Dim | undefined {
  const [size, ...others] = types.atRun.sizes(uncast(types, name)) ?? [];
  return others.length === 0 ? size : undefined;
}

/** Returns the value that Identity and Cast pass on as this value. */
const uncast = (types: ValueTypes, name: string): string =>
  firstOf(types, name, UNCAST, (node) => isCast(node) || isOp(node, 'Identity'));

/** Returns whether a value is the mean of (r − m)². */
function isCentredSquares(types: ValueTypes, name: string, rows: string, axes: readonly number[]): boolean {
  const mean = producerOf(types, unmoved(types, name), 'ReduceMean');
  const centred = mean && baseOfSquare(types, mean.inputs[0]!);
  const difference = producerOf(types, centred, 'Sub');
  if (!difference || sourceOf(types, difference.inputs[0]!) !== rows) return false;
  return isMean(types, difference.inputs[1], rows, axes) && isMeanOfSquares(types, name, centred!, axes);
}

/** Returns whether a value is the mean of the squares of another over these axes. */
function isMeanOfSquares(
  types: ValueTypes,
  name: string,
  of: string,
  axes: readonly number[],
  isKept = false,
): boolean {
  const mean = producerOf(types, unmoved(types, name), 'ReduceMean');
  const squared = mean && baseOfSquare(types, mean.inputs[0]!);
  if (squared === undefined || sourceOf(types, squared) !== sourceOf(types, of)) return false;
  if (isKept && !hasKeptShape(types, name, of, axes)) return false;
  return sameAxes(axesOf(types, mean!), axes);
}

/** Returns b, if a value is b · b or b². */
function baseOfSquare(types: ValueTypes, name: string): string | undefined {
  const product = producerOf(types, name, 'Mul');
  if (!product) return baseOf(types, name, 2);
  const [a, b] = product.inputs as [string, string];
  return sourceOf(types, a) === sourceOf(types, b) ? a : undefined;
}

const isMean = (types: ValueTypes, name: string | undefined, rows: string, axes: readonly number[]) =>
  name !== undefined && sameAxes(axesOfMean(types, name, rows), axes);

/** Returns the axes over which a value is the mean of rows, which it keeps as 1. */
function axesOfMean(types: ValueTypes, name: string, rows: string): number[] | undefined {
  const moved = unmoved(types, name);
  const quotient = producerOf(types, moved, 'Div');
  const reduction = quotient
    ? producerOf(types, unmoved(types, quotient.inputs[0]!), 'ReduceSum')
    : producerOf(types, moved, 'ReduceMean');
  if (!reduction || sourceOf(types, reduction.inputs[0]!) !== rows) return undefined;
  const axes = axesOf(types, reduction);
  if (!axes || !hasKeptShape(types, name, rows, axes)) return undefined;
  return !quotient || isNumber(types, quotient.inputs[1]!, rowLengthOf(types, rows, axes)) ? axes : undefined;
}

/** Returns the axes of a ReduceMean or ReduceSum, sorted, from 0. */
function axesOf(types: ValueTypes, mean: ModelNode): number[] | undefined {
  const { shape } = types.typeOf(mean.inputs[0]);
  const axes = mean.numbers('axes') ?? types.sizes(mean.inputs[1]);
  if (!shape || !axes || !isStatic(axes)) return undefined;
  return axes.map((axis) => fromStart(axis, shape.length)).sort((a, b) => a - b);
}

const sameAxes = (a: readonly number[] | undefined, b: readonly number[]): boolean => a?.join() === b.join();

/** Returns the only axis besides the first that is not among `axes`, if it is where groups can be. */
function groupAxisOf(axes: readonly number[], rank: number): number | undefined {
  const kept = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !axes.includes(axis));
  const [first, groups] = kept;
  const isPlace = kept.length === 2 && first === 0 && (groups === 1 || groups === rank - 2);
  return rank >= 3 && axes.length === rank - 2 && isPlace ? groups : undefined;
}

/** Returns whether a value has the shape of another with 1 in place of `axes`, in every run. */
function hasKeptShape(types: ValueTypes, name: string, of: string, axes: readonly number[]): boolean {
  const [shape, whole] = [types.atRun.typeOf(name).shape, types.atRun.typeOf(of).shape];
  if (!shape || shape.length !== whole?.length) return false;
  return shape.every((dim, axis) =>
    axes.includes(axis) ? dim === 1 : dim !== UNKNOWN_DIM && dim === whole[axis],
  );
}

/** Returns the length of a row: a number, or a name that means the same size in every run. */
function rowLengthOf(types: ValueTypes, rows: string, axes: readonly number[]): Dim {
  const [shape, atRun] = [types.typeOf(rows).shape!, types.atRun.typeOf(rows).shape!];
  const lengths = axes.map((axis) => shape[axis]!);
  return productDim(isStatic(lengths) ? lengths : axes.map((axis) => atRun[axis]!));
}

const inBothOrders = ([a, b]: readonly string[]): [string, string][] => [
  [a!, b!],
  [b!, a!],
];

/** Returns the node that a value comes from, if it is this operator. */
function producerOf(types: ValueTypes, name: string | undefined, opType: string): ModelNode | undefined {
  const node = name === undefined ? undefined : types.index.producer(sourceOf(types, name));
  return node && isOp(node, opType) ? node : undefined;
}

/** Returns the value that Identity, and Cast or CastLike to its own dtype, pass on as this value. */
export const sourceOf = (types: ValueTypes, name: string): string =>
  firstOf(types, name, SOURCES, (node) => changesNothing(types, node));

/** Returns the value that this value is before Reshape and the like give it another shape. */
export const unmoved = (types: ValueTypes, name: string): string =>
  firstOf(
    types,
    name,
    UNMOVED,
    (node) => changesNothing(types, node) || MOVING.some((opType) => isOp(node, opType)),
  );

/** Operators that keep the elements. Expand may repeat them: callers check that their number is the same. */
const MOVING = ['Reshape', 'Unsqueeze', 'Squeeze', 'Expand'];

/** What is known of values, until the model changes. Each chain of nodes is followed once, however many nodes read it. */
type Known<T> = WeakMap<GraphIndex, Map<string, T>>;
const SOURCES: Known<string> = new WeakMap();
const UNMOVED: Known<string> = new WeakMap();
const UNCAST: Known<string> = new WeakMap();

function knownIn<T>(known: Known<T>, { index }: ValueTypes): Map<string, T> {
  const values = known.get(index) ?? new Map<string, T>();
  known.set(index, values);
  return values;
}

function firstOf(
  types: ValueTypes,
  name: string,
  known: Known<string>,
  isPassed: (node: ModelNode) => boolean,
): string {
  const sources = knownIn(known, types);
  const path: string[] = [];
  let source = name;
  while (!sources.has(source)) {
    path.push(source);
    // A value that is its own source ends the search, also if a damaged model has two nodes that make one value.
    sources.set(source, source);
    const node = types.index.producer(source);
    if (!node || !isPassed(node)) break;
    source = node.inputs[0]!;
  }
  const first = sources.get(source) ?? source;
  for (const passed of path) sources.set(passed, first);
  return first;
}

/** Returns whether a node is Identity, or a Cast to the dtype that its input has. */
export function changesNothing(types: ValueTypes, node: ModelNode): boolean {
  if (isOp(node, 'Identity')) return true;
  const dtype = isCast(node) ? types.typeOf(node.inputs[0]).dtype : undefined;
  return dtype !== undefined && dtype === types.typeOf(outputOf(node)).dtype;
}

const isCast = (node: ModelNode): boolean => isOp(node, 'Cast') || isOp(node, 'CastLike');

/** The most nodes between a constant and a scalar. Each Sub has two terms, so that a deeper search might never end. */
const MAX_STEPS = 8;

/**
 * Returns the number in a scalar that is a constant, or that follows from constants and known sizes.
 * @param maxRank With a higher rank than that of the rows, it would raise the rank of the result.
 */
function scalarOf(types: ValueTypes, name: string | undefined, maxRank = 1, depth = 0): number | undefined {
  if (name === undefined || depth > MAX_STEPS) return undefined;
  const scalars = knownIn(SCALARS, types);
  const key = `${maxRank} ${depth} ${name}`;
  if (!scalars.has(key)) scalars.set(key, findScalar(types, name, maxRank, depth));
  return scalars.get(key);
}

const SCALARS: Known<number | undefined> = new WeakMap();

function findScalar(types: ValueTypes, name: string, maxRank: number, depth: number): number | undefined {
  const data = types.constant(name);
  if (data) {
    const isScalar = data.dims.length <= maxRank && elementCount(data.dims) === 1;
    return isScalar && data.dtype !== 'bool' ? Number(toFloat64Array(data)[0]) : undefined;
  }
  const node = types.index.producer(name);
  const [first, second] = node?.inputs ?? [];
  if (!node || !first) return undefined;
  if (isOp(node, 'Identity')) return scalarOf(types, first, maxRank, depth + 1);
  const { dtype } = types.typeOf(outputOf(node));
  if (isCast(node) && dtype && isFloatDType(dtype)) {
    const [size, ...others] = types.constant(first) ? [] : (types.sizes(first) ?? []);
    if (typeof size === 'number' && others.length === 0) return size;
    return scalarOf(types, first, maxRank, depth + 1);
  }
  if (!isOp(node, 'Sub')) return undefined;
  const [a, b] = [first, second].map((input) => scalarOf(types, input, maxRank, depth + 1));
  return a !== undefined && b !== undefined ? a - b : undefined;
}
