/**
 * The parts that lowerings share. A group of one sample is a row of K = C / G · spatial size elements: the input
 * (N, C, ...) becomes rows (N, G, K), the rows are normalized, and become (N, C, ...) again. At the end: sizes that are
 * known only at run time, each an int64 vector of one element.
 */
import { GraphError } from '../errors.js';
import { float, ints } from '../graph/attr.js';
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import { filledTensor } from '../half.js';
import { productDim } from '../shapes/dims.js';
import { type Dim, type FloatDType, int64Vector, isStatic } from '../tensor.js';
import type { GroupNormSite } from './types.js';

/** Returns C and C / G, both integers: `groupNormalization` has checked that. */
export function channelsOf({ x, numGroups }: GroupNormSite): { channels: number; channelsPerGroup: number } {
  const channels = x.shape[1] as number;
  return { channels, channelsPerGroup: channels / numGroups };
}

/**
 * Runs `body` on the site in a dtype that is wide enough for statistics. float16 and bfloat16 are cast to float32, as
 * PyTorch does and as ONNX's `stash_type` 1 asks, and the result is rounded once.
 */
export function inWideDType(g: Scope, site: GroupNormSite, body: (wide: GroupNormSite) => Value): Value {
  const { x, scale, bias } = site;
  if (x.dtype !== 'float16' && x.dtype !== 'bfloat16') return body(site);
  const widen = (value: Value | undefined) => value && op.cast(g, value, 'float32');
  const y = body({ ...site, x: op.cast(g, x, 'float32'), scale: widen(scale), bias: widen(bias) });
  return op.cast(g, y, x.dtype);
}

/** Computes `y · scale + bias`, channel by channel, without the part that the site lacks. */
export function affine(g: Scope, site: GroupNormSite, y: Value): Value {
  const scaled = site.scale ? op.mul(g, y, perChannel(g, site, site.scale)) : y;
  return site.bias ? op.add(g, scaled, perChannel(g, site, site.bias)) : scaled;
}

/** Computes `y · γ + β` as a BatchNormalization of mean 0 and variance 1, which passes over the data once. */
export function affineInOneNode(g: Scope, site: GroupNormSite, y: Value): Value {
  const { x, scale, bias } = site;
  if (!scale || !bias || x.rank === 2) return affine(g, site, y);
  const [mean, variance] = [0, 1].map((value) =>
    filled(g, x.dtype as FloatDType, channelsOf(site).channels, value),
  );
  return batchNorm(g, y, [scale, bias, mean!, variance!], 0);
}

/** Adds a BatchNormalization. `parameters` are scale, bias, mean and variance, one element for each channel. */
export const batchNorm = (g: Scope, x: Value, parameters: readonly Value[], epsilon: number): Value =>
  g.node('BatchNormalization', [x, ...parameters], { epsilon: float(epsilon) }, [
    { dtype: x.dtype, shape: x.shape },
  ])[0]!;

/** Makes a (C) vector (C, 1, ...), so that it broadcasts against the site's (N, C, ...). */
export function perChannel(g: Scope, { x }: GroupNormSite, vector: Value): Value {
  return x.rank === 2 ? vector : op.reshape(g, vector, [0, ...Array<number>(x.rank - 2).fill(1)]);
}

/** Makes (N, G, C / G) (N, C, 1, ...): one number for each channel of each sample. */
export const perSample = (g: Scope, site: GroupNormSite, value: Value): Value =>
  op.reshape(g, value, [0, channelsOf(site).channels, ...Array<number>(site.x.rank - 2).fill(1)]);

/** The most elements of a vector that a lowering makes. A model may declare any number of channels. */
export const MAX_FILLED = 2 ** 20;

/**
 * Adds a constant vector whose elements are all `value`.
 * @throws GraphError `LOWERING_UNAVAILABLE` for more elements than any network has channels.
 */
export function filled(g: Scope, dtype: FloatDType, length: number, value: number): Value {
  if (length > MAX_FILLED) {
    throw new GraphError(
      'LOWERING_UNAVAILABLE',
      `${g.describe('GroupNormalization')}: ${length} channels; lowerings take at most ${MAX_FILLED}`,
    );
  }
  return g.constant(filledTensor(dtype, [length], value));
}

/** Returns the axes from `first` to `end` − 1. */
export const axesFrom = (first: number, end: number): number[] =>
  Array.from({ length: end - first }, (_, index) => first + index);

/** Returns K = C / G · spatial size, the number of elements of a row. */
export const rowLength = (site: GroupNormSite): Dim =>
  productDim([channelsOf(site).channelsPerGroup, ...site.x.shape.slice(2)]);

/** Makes `value`, which has the shape of `x`, rows (N, G, K). */
export function toRows(g: Scope, site: GroupNormSite, value: Value): Value {
  const { x, numGroups } = site;
  const length = rowLength(site);
  if (typeof length === 'number') return op.reshape(g, value, [0, numGroups, length]);
  const target = runtimeVector(g, [0, numGroups, 0], {
    0: runtimeSizes(g, x, 0, 1),
    // ONNX Runtime 1.30 crashes on InstanceNormalization of an empty tensor: with 1 the Reshape fails instead.
    2: max(g, runtimeRowLength(g, site), int64(g, [1])),
  });
  const outputShape = [x.shape[0]!, numGroups, length];
  return op.reshape(g, withSpatialThird(g, value), target, { outputShape });
}

/** Makes rows the site's shape again. */
export function fromRows(g: Scope, { x }: GroupNormSite, rows: Value): Value {
  const [batch, ...rest] = x.shape;
  if (isStatic(rest)) return op.reshape(g, rows, [0, ...rest], { outputShape: [batch!, ...rest] });
  return op.reshape(g, rows, op.shape(g, x), { outputShape: x.shape });
}

/** Makes the dimensions from `axis` on rows of one channel each: (R, 1, K). */
export function flatRows(g: Scope, value: Value, axis: number): Value {
  const flat = op.flatten(g, value, { axis });
  const shape = [flat.shape[0]!, 1, flat.shape[1]!];
  return g.node('Unsqueeze', [flat], { axes: ints([1]) }, [{ dtype: value.dtype, shape }])[0]!;
}

/**
 * Gives (N, C, ...) the product of its spatial sizes as third dimension: (N, C, L), or (N · C, 1, H · W · ...). In
 * Reshape's target a 0 means the input's size in that place; so a target with a 0 there is right for empty inputs.
 */
function withSpatialThird(g: Scope, value: Value): Value {
  return value.rank === 3 ? value : flatRows(g, value, 2);
}

/**
 * Rows up to this length are summed in one go. WebAssembly adds them up in one float32: for rows of 256 to 1,024
 * elements of which a ReLU zeroed half, results were off by up to 5 times what `assert_close` allows (ONNX Runtime
 * 1.30), and with this split by a fifth of what it allows. It costs rows of 65 to 1,024 elements 4 to 20 % of time.
 */
const MAX_UNSPLIT = 64;

/** A model may declare sizes of 2^40, and a search for divisors from their root on would not end. No row in use is longer. */
const MAX_SPLIT = 2 ** 31 - 1;

/**
 * Splits `length` into two factors as even as its divisors allow, the larger last; not if it is short, prime, or longer
 * than any row.
 */
export function splitLength(length: number): number[] {
  if (length <= MAX_UNSPLIT || length > MAX_SPLIT) return [length];
  for (let divisor = Math.floor(Math.sqrt(length)); divisor > 1; divisor--) {
    if (length % divisor === 0) return [divisor, length / divisor];
  }
  return [length];
}

/**
 * Makes `value`, whose sizes are known, rows (N, G, P, L) with P · L = K, so that a mean can be taken in two steps: two
 * short float32 sums lose fewer bits than a long one. Rows that are short or have no divisors become (N, G, K).
 */
export const toSplitRows = (g: Scope, site: GroupNormSite, value: Value): Value =>
  op.reshape(g, value, [0, site.numGroups, ...splitLength(rowLength(site) as number)]);

/**
 * Takes the mean of each row of (N, G, K) or (N, G, P, L), as (N, G, 1): innermost parts first, which are contiguous in
 * memory. Reduced dimensions are dropped, because with a dimension of 1 in its place ONNX Runtime is slower.
 */
export function rowMean(g: Scope, rows: Value): Value {
  const parts = rows.rank === 4 ? op.reduceMean(g, rows, { axes: [3], keepdims: false }) : rows;
  return op.reduceMean(g, parts, { axes: [2] });
}

/** Gives the mean of each row, (N, G, 1), the rank of the rows, so that it broadcasts against them. */
export const alongRows = (g: Scope, mean: Value, rows: Value): Value =>
  rows.rank === 4 ? op.reshape(g, mean, [0, 0, 1, 1]) : mean;

/** Subtracts the mean of each row, (N, G, 1), from `x`. */
export function centre(g: Scope, site: GroupNormSite, mean: Value): Value {
  const { x } = site;
  if (typeof rowLength(site) === 'number') {
    const rows = toSplitRows(g, site, x);
    return fromRows(g, site, op.sub(g, rows, alongRows(g, mean, rows)));
  }
  // Rows cannot be reshaped back to sizes that may be 0, so that here `x` keeps its shape.
  // Mul repeats the mean as Expand would, which exists from opset 8 on.
  const ones = filled(g, x.dtype as FloatDType, channelsOf(site).channelsPerGroup, 1);
  return op.sub(g, x, perSample(g, site, op.mul(g, mean, ones)));
}

/** Computes K at run time. */
export const runtimeRowLength = (g: Scope, site: GroupNormSite): Value =>
  op.mul(
    g,
    op.reduceProd(g, runtimeSizes(g, site.x, 2, site.x.rank), { axes: [0] }),
    int64(g, [channelsOf(site).channelsPerGroup]),
  );

/** Reads the sizes of `x`'s axes `from` to `to` − 1 at run time, one element each. */
export const runtimeSizes = (g: Scope, x: Value, from: number, to: number): Value =>
  op.slice(g, op.shape(g, x), { starts: [from], ends: [to], axes: [0] });

/** Makes a name for a size out of everything that it depends on: equal names must be equal sizes. */
export const sizeName = ({ x, numGroups }: GroupNormSite, what: string): string =>
  `${what}(${[numGroups, ...x.shape.slice(1)].join()})`;

/**
 * Makes the vector `fixed` with sizes in the given places, where it has a 0. A target with Reshape's −1 will not do,
 * because it cannot be inferred when the batch is empty; nor Concat, whose Reshape ONNX Runtime fuses into one with −1.
 */
export function runtimeVector(
  g: Scope,
  fixed: readonly number[],
  sizes: Readonly<Record<number, Value>>,
): Value {
  const terms = Object.entries(sizes).map(([place, size]) => {
    const unit = fixed.map((_, index) => Number(index === Number(place)));
    return op.mul(g, size, int64(g, unit));
  });
  const start = fixed.some((size) => size !== 0) ? [int64(g, fixed)] : [];
  return [...start, ...terms].reduce((sum, term) => op.add(g, sum, term));
}

/** Adds a constant int64 vector. */
export const int64 = (g: Scope, values: readonly number[]): Value => g.constant(int64Vector(values));

/** Returns the larger of two int64 vectors of one element. Max takes integers from opset 12 on. */
export const max = (g: Scope, a: Value, b: Value): Value =>
  g.node('ReduceMax', [op.concat(g, [a, b], { axis: 0 })], {}, [{ dtype: 'int64', shape: [1] }])[0]!;

/** Returns `yes` where the condition holds, else `no`. */
export const where = (g: Scope, condition: Value, yes: Value, no: Value): Value =>
  g.node('Where', [condition, yes, no], {}, [{ dtype: no.dtype, shape: no.shape }])[0]!;
