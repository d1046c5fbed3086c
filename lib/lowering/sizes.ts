/** The length of rows, and sizes that are known only at run time: each an int64 vector of one element. */
import { op, productDim, type Scope, type Value } from '../graph/index.js';
import { int64Vector, type Dim } from '../tensor.js';
import { channelsOf } from './groups.js';
import type { GroupNormSite } from './types.js';

/** K = C / G · spatial size: the elements of a group. */
export const rowLength = (site: GroupNormSite): Dim =>
  productDim([channelsOf(site).channelsPerGroup, ...site.x.shape.slice(2)]);

/** K as it comes to at run time. */
export const runtimeRowLength = (g: Scope, site: GroupNormSite): Value =>
  op.mul(
    g,
    op.reduceProd(g, runtimeSizes(g, site.x, 2, site.x.rank), { axes: [0] }),
    int64(g, [channelsOf(site).channelsPerGroup]),
  );

/** The sizes of `x`'s axes `from` to `to` − 1, one element each. */
export const runtimeSizes = (g: Scope, x: Value, from: number, to: number): Value =>
  op.slice(g, op.shape(g, x), { starts: [from], ends: [to], axes: [0] });

/** A name for a size, after all that it depends on: equal names must be equal sizes. */
export const sizeName = ({ x, numGroups }: GroupNormSite, what: string): string =>
  `${what}(${[numGroups, ...x.shape.slice(1)].join()})`;

/**
 * The vector `fixed` with sizes in the given places, where it has a 0. Reshape's −1 will not do in a target,
 * because it cannot be inferred when the batch is empty; nor Concat, which ONNX Runtime fuses into one.
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

export const int64 = (g: Scope, values: readonly number[]): Value => g.constant(int64Vector(values));

/** The larger of two int64 vectors, element by element. */
export const max = (g: Scope, a: Value, b: Value): Value =>
  g.node('Max', [a, b], {}, [{ dtype: 'int64', shape: a.shape }])[0]!;

export const where = (g: Scope, condition: Value, yes: Value, no: Value): Value =>
  g.node('Where', [condition, yes, no], {}, [{ dtype: no.dtype, shape: no.shape }])[0]!;
