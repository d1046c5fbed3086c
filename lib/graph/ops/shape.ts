/** Operators that move elements without computing. Sources: the ONNX operator pages of the same names. */
import { GraphError } from '../../errors.js';
import { elementCount, formatShape, int64Vector, isStatic, type Dim, type Shape } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  compatible,
  describeValue,
  formatList,
  knownOptions,
  merge,
  requireIntegers,
  requireSameDType,
  requireValues,
  resolveAxes,
  resolveAxis,
} from '../checks.js';
import { requireShape } from '../declarations.js';
import { addDims, divideDim, productDim, sliceDim } from '../dims.js';
import { int, ints } from '../attr.js';
import { Value } from '../types.js';

/** Options of {@link concat}. */
export interface ConcatOptions {
  /** The axis along which the values are joined; a negative one counts from the end. */
  readonly axis: number;
}

/**
 * The values one after the other along `axis` (`torch.cat`).
 * @param values At least one; any dtype, the same for all, and the same shape but for `axis`.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function concat(g: Scope, values: readonly Value[], options: ConcatOptions): Value {
  const opType = 'Concat';
  const { axis } = knownOptions(g, opType, options, ['axis']);
  const isList: boolean = Array.isArray(values);
  if (!isList) {
    throw new GraphError('MISSING_VALUE', `${g.describe(opType)}: its inputs must be a list of values`);
  }
  const [first, ...others] = values;
  const inputs = [first, ...others].map((value, index) => [`input ${index}`, value!] as const);
  requireValues(g, opType, Object.fromEntries(inputs));
  requireSameDType(g, opType, ...values);
  const along = resolveAxis(g, opType, axis, first!);
  const shape = others.reduce((joined, value) => joinShapes(g, along, first!, joined, value), first!.shape);
  return g.node(opType, values, { axis: int(along) }, [{ dtype: first!.dtype, shape }])[0]!;
}

function joinShapes(g: Scope, along: number, first: Value, joined: Shape, next: Value): Shape {
  const fits = (dim: Dim, axis: number) => axis === along || compatible(dim, joined[axis]!);
  if (next.rank === joined.length && next.shape.every(fits)) {
    return next.shape.map((dim, axis) =>
      axis === along ? addDims(joined[axis]!, dim) : merge(joined[axis]!, dim),
    );
  }
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe('Concat')}: ${describeValue(first)} and ${describeValue(next)} cannot be joined along axis ${along}: ` +
      'they must have the same rank, and the same size along every other axis',
  );
}

/** The shape of `x` as int64 [rank]. Any dtype. @throws GraphError `MISSING_VALUE`. */
export function shape(g: Scope, x: Value): Value {
  requireValues(g, 'Shape', { x });
  return g.node('Shape', [x], {}, [{ dtype: 'int64', shape: [x.rank] }])[0]!;
}

/** Options of {@link slice}: three lists of one length. */
export interface SliceOptions {
  /** First index along each axis; negative ones count from the end. */
  readonly starts: readonly number[];
  /** The index after the last along each axis; from 2³¹ − 1 on, the axis's end. */
  readonly ends: readonly number[];
  /** The axes that are cut; negative ones count from the end. */
  readonly axes: readonly number[];
}

/**
 * The part `starts` to `ends` of `x` along `axes`, with step 1; indices outside are clamped, as in Python.
 * @param x Any dtype, rank 1 or more.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function slice(g: Scope, x: Value, options: SliceOptions): Value {
  const opType = 'Slice';
  const { starts, ends, axes } = knownOptions(g, opType, options, ['starts', 'ends', 'axes']);
  requireValues(g, opType, { x });
  const cut = resolveAxes(g, opType, axes, x);
  const each = { length: cut.length, reason: 'one for each axis' };
  requireIntegers(g, opType, 'starts', starts, each);
  requireIntegers(g, opType, 'ends', ends, each);
  const result = [...x.shape];
  cut.forEach((axis, index) => (result[axis] = sliceDim(result[axis]!, starts[index]!, ends[index]!)));
  const attributes = { starts: ints([...starts]), ends: ints([...ends]), axes: ints(cut) };
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape: result }])[0]!;
}

/** Options of {@link reshape}. */
export interface ReshapeOptions {
  /** The result's shape, where the caller knows more of it than can be inferred. */
  readonly outputShape?: Shape;
}

/**
 * `x` with its elements, in C order, in another shape.
 * @param x Any dtype and rank.
 * @param target Sizes, of which 0 copies the dimension at its index and one −1 takes what is left; or an int64
 *   [rank] value that is known only at run time, with `outputShape` to say what it comes to.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `INVALID_ATTRIBUTE`, `INVALID_DTYPE`, `INVALID_SHAPE` or `MISSING_VALUE`.
 */
export function reshape(
  g: Scope,
  x: Value,
  target: readonly number[] | Value,
  options: ReshapeOptions = {},
): Value {
  const opType = 'Reshape';
  const { outputShape } = knownOptions(g, opType, options, ['outputShape']);
  requireValues(g, opType, { x });
  if (outputShape !== undefined) requireShape(outputShape, `${g.describe(opType)}: outputShape`);
  const isRuntime = target instanceof Value;
  const inferred = isRuntime ? runtimeShape(g, x, target, outputShape) : listedShape(g, x, target);
  const result = outputShape ?? inferred;
  if (result.length !== inferred.length || !result.every((dim, axis) => compatible(dim, inferred[axis]!))) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: outputShape ${formatShape(result)} contradicts the target ${formatShape(inferred)}`,
    );
  }
  const input = isRuntime ? target : g.constant(int64Vector(target), 'shape');
  return g.node(opType, [x, input], {}, [{ dtype: x.dtype, shape: result }])[0]!;
}

/** The shape that a list of sizes stands for. */
function listedShape(g: Scope, x: Value, target: readonly number[]): Shape {
  requireTarget(g, x, target);
  // A copied dimension is on both sides, so that the others can be compared even where it is a name.
  const rest = productDim(x.shape.filter((_, axis) => target[axis] !== 0));
  const known = elementCount(target.filter((size) => size > 0));
  const infers = target.includes(-1);
  const isEmpty = x.shape.some((dim, axis) => dim === 0 && target[axis] === 0);
  const fits = typeof rest === 'string' || (infers ? rest % known === 0 : rest === known);
  if (isEmpty ? infers : !fits) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe('Reshape')}: ${describeValue(x)} does not fit the target ${formatList(target)}: ` +
        'the number of elements must stay the same, and be more than 0 where -1 is to be inferred beside a 0',
    );
  }
  return target.map((size, axis) =>
    size === 0 ? x.shape[axis]! : size === -1 ? divideDim(rest, known) : size,
  );
}

function requireTarget(g: Scope, x: Value, target: readonly number[]): void {
  const valid = (size: number, index: number) =>
    Number.isSafeInteger(size) && size >= -1 && (size !== 0 || index < x.rank);
  if (Array.isArray(target) && target.every(valid) && target.filter((size) => size === -1).length <= 1)
    return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Reshape')}: target ${formatList(target)} must be sizes, 0 where it copies a dimension of ` +
      `${describeValue(x)}, and -1 at most once`,
  );
}

/** The shape that a target has at run time, as the caller declares it. */
function runtimeShape(g: Scope, x: Value, target: Value, outputShape: Shape | undefined): Shape {
  const where = `${g.describe('Reshape')}: target ${describeValue(target)}`;
  if (target.dtype !== 'int64')
    throw new GraphError('INVALID_DTYPE', `${where} is ${target.dtype}, but must be int64`);
  if (!outputShape)
    throw new GraphError('INVALID_SHAPE', `${where} is known only at run time: give outputShape`);
  const length = target.shape[0];
  if (target.rank !== 1 || !compatible(length!, outputShape.length)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${where} must be [${outputShape.length}] to fit ${formatShape(outputShape)}`,
    );
  }
  if (isStatic(x.shape) && isStatic(outputShape) && elementCount(x.shape) !== elementCount(outputShape)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${where}: ${describeValue(x)} does not have the elements of outputShape ${formatShape(outputShape)}`,
    );
  }
  return outputShape;
}
