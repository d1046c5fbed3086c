/** Operators that make dimensions larger or smaller. Sources: ONNX operator pages Pad and Resize; `torch.nn.Upsample`. */
import { GraphError } from '../../errors.js';
import { compatible } from '../../shapes/broadcast.js';
import * as infer from '../../shapes/slicing.js';
import { type Dim, formatShape, int64Vector, type Shape } from '../../tensor.js';
import { floats, ints, string } from '../attr.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  formatList,
  knownOptions,
  requireFloat,
  requireIntegers,
  requireNumeric,
  requireValues,
  scalarOption,
} from '../checks.js';
import { requireShape } from '../declarations.js';
import { type Attributes, Value } from '../types.js';

const PAD_MODES = ['constant', 'reflect', 'edge'] as const;

/** Options of {@link pad}. */
export interface PadOptions {
  /**
   * The number of elements to add at each edge, in ONNX's order: the beginnings of all dimensions, batch and channels
   * included, then all ends. At least 0; `slice` cuts.
   */
  readonly pads: readonly number[];
  /**
   * `constant` adds `value`, `reflect` the inner elements mirrored at the outermost one, `edge` the outermost one.
   * Default `constant`.
   */
  readonly mode?: (typeof PAD_MODES)[number];
  /** The number that `constant` adds. Default 0. */
  readonly value?: number;
  /**
   * Whether the node lists all axes from opset 18 on, which changes nothing that is computed. For a Pad before a pool: ONNX
   * Runtime 1.17 to 1.31 moves the zeros of a Pad without axes into the pool, where they are −∞ (`Pad_Fusion`). Default false.
   */
  readonly listAxes?: boolean;
}

/**
 * Returns `x` with elements added around it. PyTorch lists the last dimension first, and a beginning beside its end:
 *
 * | PyTorch, of x (N, C, H, W) | options |
 * |---|---|
 * | `F.pad(x, (left, right, top, bottom))` | `pads: [0, 0, top, left, 0, 0, bottom, right]` |
 * | `F.pad(x, …, mode='reflect')` | `mode: 'reflect'` |
 * | `F.pad(x, …, mode='replicate')` | `mode: 'edge'` |
 * @param x Any float, int32 or int64, rank 1 or more.
 * @returns Each dimension D + its two pads. `reflect` needs each pad below D, `edge` a D above 0; the runtime checks a D
 *   that is a name.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_SHAPE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function pad(g: Scope, x: Value, options: PadOptions): Value {
  const opType = 'Pad';
  const known = ['pads', 'mode', 'value', 'listAxes'] as const;
  const { pads, mode = 'constant', value, listAxes = false } = knownOptions(g, opType, options, known);
  requireValues(g, opType, { x });
  requireNumeric(g, opType, x);
  const reason = `a beginning and an end for each dimension of ${describeValue(x)}`;
  requireIntegers(g, opType, 'pads', pads, { length: 2 * x.rank, least: 0, reason });
  requireMode(g, mode, value);
  requireElements(g, x, pads, mode);
  const shape = infer.pad(x.shape, pads);
  const filler = mode === 'constant' ? scalarOption(g, opType, 'value', value ?? 0, x.dtype) : undefined;
  const inputs = [x, g.constant(int64Vector(pads), 'pads'), filler];
  const attributes = { mode: string(mode), ...(listAxes && { axes: ints([...x.shape.keys()]) }) };
  return g.node(opType, inputs, attributes, [{ dtype: x.dtype, shape }])[0]!;
}

function requireMode(g: Scope, mode: (typeof PAD_MODES)[number], value: number | undefined): void {
  if (!PAD_MODES.includes(mode)) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe('Pad')}: mode '${String(mode)}' is not one of ${PAD_MODES.join(', ')} (PyTorch's replicate is edge)`,
    );
  }
  if (mode === 'constant' || value === undefined) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Pad')}: value is for mode constant, not for ${mode}`,
  );
}

/** Requires the elements that `reflect` (beside the outermost) and `edge` (the outermost) copy. */
function requireElements(
  g: Scope,
  x: Value,
  pads: readonly number[],
  mode: (typeof PAD_MODES)[number],
): void {
  if (mode === 'constant') return;
  const least = (size: number) => (size === 0 ? 0 : mode === 'reflect' ? size + 1 : 1);
  const fits = x.shape.every((dim, axis) => {
    const most = Math.max(pads[axis]!, pads[axis + x.rank]!);
    return typeof dim === 'string' || dim >= least(most);
  });
  if (fits) return;
  throw new GraphError(
    'INVALID_SHAPE',
    `${g.describe('Pad')}: pads ${formatList(pads)} are too large for ${describeValue(x)}: ${mode} ` +
      (mode === 'reflect' ? 'needs each below the size of its dimension' : 'needs a size above 0'),
  );
}

const RESIZE_MODES = ['nearest', 'linear'] as const;
const COORDINATE_MODES = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'] as const;
const NEAREST_MODES = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const;

const RESIZE_OPTIONS = [
  'scales',
  'sizes',
  'outputShape',
  'mode',
  'coordinateTransformationMode',
  'nearestMode',
] as const;

/** Either `scales` or `sizes`, with one number for each dimension, batch and channels included. */
export interface ResizeOptions {
  /** Factors, above 0. */
  readonly scales?: readonly number[];
  /** Sizes of the result, at least 1; or an int64 vector that holds them at run time, together with `outputShape`. */
  readonly sizes?: readonly number[] | Value;
  /** The shape of the result for `sizes` that are known only at run time. */
  readonly outputShape?: Shape;
  /** Default `nearest`. */
  readonly mode?: (typeof RESIZE_MODES)[number];
  /** How a place in the result maps to a place in the input. Default `half_pixel`. */
  readonly coordinateTransformationMode?: (typeof COORDINATE_MODES)[number];
  /** How `nearest` rounds the place in the input. Default `round_prefer_floor`. */
  readonly nearestMode?: (typeof NEAREST_MODES)[number];
}

/**
 * Returns `x` resampled to another size.
 *
 * | PyTorch | options |
 * |---|---|
 * | `Upsample(mode='nearest')` | `asymmetric`, `floor` |
 * | `Upsample(mode='nearest-exact')` | `half_pixel`, `round_prefer_ceil` |
 * | `Upsample(mode='bilinear')`, `align_corners=False` | `linear`, `half_pixel` |
 * | `Upsample(mode='bilinear', align_corners=True)` | `linear`, `align_corners` |
 * @param x Any float, rank 1 or more.
 * @returns Each dimension `sizes`, or ⌊D · scale⌋ with a float32 scale; a size that depends on rounding is refused.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_DTYPE`, `INVALID_SHAPE` or `MISSING_VALUE`.
 */
export function resize(g: Scope, x: Value, options: ResizeOptions): Value {
  const opType = 'Resize';
  requireValues(g, opType, { x });
  requireFloat(g, opType, x);
  const {
    mode = 'nearest',
    coordinateTransformationMode = 'half_pixel',
    nearestMode = 'round_prefer_floor',
  } = knownOptions(g, opType, options, RESIZE_OPTIONS);
  requireOneOf(g, 'mode', mode, RESIZE_MODES);
  requireOneOf(g, 'coordinateTransformationMode', coordinateTransformationMode, COORDINATE_MODES);
  requireOneOf(g, 'nearestMode', nearestMode, NEAREST_MODES);
  const { shape, inputs = [x], target } = resizedShape(g, x, options);
  const attributes = {
    mode: string(mode),
    coordinate_transformation_mode: string(coordinateTransformationMode),
    ...(mode === 'nearest' && { nearest_mode: string(nearestMode) }),
    ...target,
  };
  return g.node(opType, inputs, attributes, [{ dtype: x.dtype, shape }])[0]!;
}

/** The shape of a result, and what says it: an attribute, or at run time the fourth input. */
interface Resized {
  readonly shape: Shape;
  readonly inputs?: readonly (Value | undefined)[];
  readonly target?: Attributes;
}

function resizedShape(g: Scope, x: Value, { scales, sizes, outputShape }: ResizeOptions): Resized {
  if ((scales === undefined) === (sizes === undefined)) {
    throw new GraphError('INVALID_ATTRIBUTE', `${g.describe('Resize')}: give either scales or sizes`);
  }
  if (sizes instanceof Value) {
    const shape = requireRuntimeSizes(g, x, sizes, outputShape);
    return { shape, inputs: [x, undefined, undefined, sizes] };
  }
  if (outputShape) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe('Resize')}: outputShape is for sizes that are a value of the graph`,
    );
  }
  const reason = `one for each dimension of ${describeValue(x)}`;
  if (sizes) {
    requireIntegers(g, 'Resize', 'sizes', sizes, { length: x.rank, least: 1, reason });
    return { shape: infer.resize(x.shape, { sizes }), target: { sizes: ints([...sizes]) } };
  }
  requireScales(g, x, scales!);
  const shape = infer.resize(x.shape, { scales: scales! });
  shape.forEach((dim, axis) => requireResult(g, x, axis, scales!, dim));
  return { shape, target: { scales: floats([...scales!]) } };
}

/** Returns the shape that the caller declares for sizes that are known only at run time. */
function requireRuntimeSizes(g: Scope, x: Value, sizes: Value, outputShape: Shape | undefined): Shape {
  const where = `${g.describe('Resize')}: sizes ${describeValue(sizes)}`;
  if (sizes.dtype !== 'int64' || sizes.rank !== 1 || !compatible(sizes.shape[0]!, x.rank)) {
    throw new GraphError('INVALID_DTYPE', `${where} must be an int64 vector of ${x.rank} elements`);
  }
  if (outputShape === undefined) {
    throw new GraphError('INVALID_SHAPE', `${where} is known only at run time: give outputShape`);
  }
  requireShape(outputShape, `${g.describe('Resize')}: outputShape`);
  if (outputShape.length === x.rank) return outputShape;
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${where}: outputShape ${formatShape(outputShape)} must have rank ${x.rank}, as ${describeValue(x)} has`,
  );
}

function requireResult(g: Scope, x: Value, axis: number, scales: readonly number[], result: Dim): void {
  const from = x.shape[axis]!;
  if (typeof from !== 'number' || typeof result !== 'number') return;
  const where = `${g.describe('Resize')}: scales ${formatList(scales)} and input ${describeValue(x)}: axis ${axis}`;
  if (result === 0 && from !== 0) throw new GraphError('INVALID_SHAPE', `${where} would be empty`);
  // ONNX's shape inference multiplies exactly, ONNX Runtime in float32: 10 · 0.7 is 6 to the one and 7 to the other.
  const exact = Math.floor(from * Math.fround(scales[axis]!));
  if (result === exact) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${where} would be ${exact} in exact arithmetic, but ${result} in float32, and runtimes differ: give sizes instead`,
  );
}

function requireScales(g: Scope, x: Value, scales: readonly number[]): void {
  const valid = (scale: number) => Number.isFinite(scale) && scale > 0;
  if (Array.isArray(scales) && scales.length === x.rank && scales.every(valid)) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Resize')}: scales ${formatList(scales)} must be ${x.rank} numbers above 0, ` +
      `one for each dimension of ${describeValue(x)}`,
  );
}

function requireOneOf(g: Scope, option: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Resize')}: ${option} '${value}' is not one of ${allowed.join(', ')}`,
  );
}
