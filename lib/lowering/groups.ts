/** What the decompositions share: a view of the input as rows, one a group, and the way back. */
import { op, type Scope, type Value } from '../graph/index.js';
import { castTensor } from '../half.js';
import { elementCount, isStatic, tensor, type FloatDType } from '../tensor.js';
import type { GroupNormSite } from './types.js';

/** C and C / G. `groupNormalization` has seen to it that both are whole numbers. */
export function channelsOf({ x, numGroups }: GroupNormSite): { channels: number; channelsPerGroup: number } {
  const channels = x.shape[1] as number;
  return { channels, channelsPerGroup: channels / numGroups };
}

/**
 * Runs `body` on the site in a dtype that is wide enough for statistics: float16 and bfloat16 go through
 * float32, as PyTorch does and as ONNX's `stash_type` 1 asks, and the result is rounded once.
 */
export function inWideDType(g: Scope, site: GroupNormSite, body: (wide: GroupNormSite) => Value): Value {
  const { x, scale, bias } = site;
  if (x.dtype !== 'float16' && x.dtype !== 'bfloat16') return body(site);
  const widen = (value: Value | undefined) => value && op.cast(g, value, 'float32');
  const y = body({ ...site, x: op.cast(g, x, 'float32'), scale: widen(scale), bias: widen(bias) });
  return op.cast(g, y, x.dtype);
}

/**
 * `x` as (N, G, K), K = C / G · spatial size. Where K is known only at run time it is computed from the
 * shape rather than left to Reshape's −1, which cannot be inferred when the batch is empty.
 */
export function toGroups(g: Scope, site: GroupNormSite): Value {
  const { x, numGroups } = site;
  const { channelsPerGroup } = channelsOf(site);
  const spatial = x.shape.slice(2);
  if (isStatic(spatial)) return op.reshape(g, x, [0, numGroups, channelsPerGroup * elementCount(spatial)]);
  const sizes = op.slice(g, op.shape(g, x), { starts: [2], ends: [x.rank], axes: [0] });
  const spatialSize = op.reduceProd(g, sizes, { axes: [0] });
  // [0, G, 0] + [0, 0, C / G] · size and not a Concat, which ONNX Runtime would fuse into a Reshape with −1.
  const rowLength = op.mul(g, spatialSize, int64(g, [0, 0, channelsPerGroup]));
  const target = op.add(g, rowLength, int64(g, [0, numGroups, 0]));
  return op.reshape(g, x, target, {
    outputShape: [x.shape[0]!, numGroups, [channelsPerGroup, ...spatial].join('*')],
  });
}

/** (N, G, K) back in the site's shape. */
export function fromGroups(g: Scope, { x }: GroupNormSite, rows: Value): Value {
  const [batch, ...rest] = x.shape;
  if (isStatic(rest)) return op.reshape(g, rows, [0, ...rest], { outputShape: [batch!, ...rest] });
  return op.reshape(g, rows, op.shape(g, x), { outputShape: x.shape });
}

/** The mean of each row of (N, G, K), as (N, G, 1). */
export const rowMean = (g: Scope, rows: Value): Value => op.reduceMean(g, rows, { axes: [2] });

/** Each row less its mean. */
export const centre = (g: Scope, rows: Value): Value => op.sub(g, rows, rowMean(g, rows));

/** A (C) vector as (C, 1, ...), so that it broadcasts against the site's (N, C, ...). */
export function perChannel(g: Scope, { x }: GroupNormSite, vector: Value): Value {
  return x.rank === 2 ? vector : op.reshape(g, vector, [0, ...Array<number>(x.rank - 2).fill(1)]);
}

/** `y · scale + bias`, channel by channel; nothing where there is none. */
export function affine(g: Scope, site: GroupNormSite, y: Value): Value {
  const scaled = site.scale ? op.mul(g, y, perChannel(g, site, site.scale)) : y;
  return site.bias ? op.add(g, scaled, perChannel(g, site, site.bias)) : scaled;
}

/** A constant vector of one number. */
export function filled(g: Scope, dtype: FloatDType, length: number, value: number): Value {
  return g.constant(castTensor(tensor('float64', [length], new Float64Array(length).fill(value)), dtype));
}

const int64 = (g: Scope, values: number[]): Value =>
  g.constant(tensor('int64', [values.length], BigInt64Array.from(values, BigInt)));
