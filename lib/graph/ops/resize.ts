/** Resampling. Source: ONNX operator page Resize; `torch.nn.Upsample`. */
import { GraphError } from '../../errors.js';
import type { Dim } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  formatList,
  knownOptions,
  requireFloat,
  requireIntegers,
  requireValues,
} from '../checks.js';
import { resizeDim } from '../dims.js';
import { floats, ints, string } from '../attr.js';
import type { Value } from '../types.js';

const MODES = ['nearest', 'linear'] as const;
const COORDINATE_MODES = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'] as const;
const NEAREST_MODES = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const;

const RESIZE_OPTIONS = ['scales', 'sizes', 'mode', 'coordinateTransformationMode', 'nearestMode'] as const;

/** Either `scales` or `sizes`, with one number for each dimension, batch and channels included. */
export interface ResizeOptions {
  /** Factors, above 0. */
  readonly scales?: readonly number[];
  /** Sizes of the result, at least 1. */
  readonly sizes?: readonly number[];
  /** Default `nearest`. */
  readonly mode?: (typeof MODES)[number];
  /** Which place of the input an element of the result is taken from. Default `half_pixel`. */
  readonly coordinateTransformationMode?: (typeof COORDINATE_MODES)[number];
  /** How `nearest` rounds that place. Default `round_prefer_floor`. */
  readonly nearestMode?: (typeof NEAREST_MODES)[number];
}

/**
 * `x` resampled to another size.
 *
 * | PyTorch | options |
 * |---|---|
 * | `Upsample(mode='nearest')` | `asymmetric`, `floor` |
 * | `Upsample(mode='nearest-exact')` | `half_pixel`, `round_prefer_ceil` |
 * | `Upsample(mode='bilinear')`, `align_corners=False` | `linear`, `half_pixel` |
 * | `Upsample(mode='bilinear', align_corners=True)` | `linear`, `align_corners` |
 * @param x Any float, rank 1 or more.
 * @returns Each dimension `sizes`, or ⌊D · scale⌋ with a float32 scale; refused where rounding decides it.
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
  requireOneOf(g, 'mode', mode, MODES);
  requireOneOf(g, 'coordinateTransformationMode', coordinateTransformationMode, COORDINATE_MODES);
  requireOneOf(g, 'nearestMode', nearestMode, NEAREST_MODES);
  const { shape, target } = resizedShape(g, x, options);
  const attributes = {
    mode: string(mode),
    coordinate_transformation_mode: string(coordinateTransformationMode),
    ...(mode === 'nearest' && { nearest_mode: string(nearestMode) }),
    ...target,
  };
  return g.node(opType, [x], attributes, [{ dtype: x.dtype, shape }])[0]!;
}

function resizedShape(g: Scope, x: Value, { scales, sizes }: ResizeOptions) {
  if ((scales === undefined) === (sizes === undefined)) {
    throw new GraphError('INVALID_ATTRIBUTE', `${g.describe('Resize')}: give either scales or sizes`);
  }
  const reason = `one for each dimension of ${describeValue(x)}`;
  if (sizes) {
    requireIntegers(g, 'Resize', 'sizes', sizes, { length: x.rank, least: 1, reason });
    return { shape: [...sizes] as Dim[], target: { sizes: ints([...sizes]) } };
  }
  requireScales(g, x, scales!);
  const shape = x.shape.map((dim, axis) => resizeDim(dim, scales![axis]!));
  shape.forEach((dim, axis) => requireResult(g, x, axis, scales!, dim));
  return { shape, target: { scales: floats([...scales!]) } };
}

function requireResult(g: Scope, x: Value, axis: number, scales: readonly number[], result: Dim): void {
  const from = x.shape[axis]!;
  if (typeof from !== 'number' || typeof result !== 'number') return;
  const where = `${g.describe('Resize')}: scales ${formatList(scales)} and input ${describeValue(x)}: axis ${axis}`;
  if (result === 0 && from !== 0) throw new GraphError('INVALID_SHAPE', `${where} would be empty`);
  // ONNX's shape inference multiplies exactly, and ONNX Runtime in float32: 10 · 0.7 is 6 to one and 7 to the other.
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
