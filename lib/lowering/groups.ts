/** What the lowerings share besides rows: dtypes, channels and the affine part. */
import { op, type Scope, type Value } from '../graph/index.js';
import { filledTensor } from '../half.js';
import type { FloatDType } from '../tensor.js';
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
  return g.constant(filledTensor(dtype, [length], value));
}
