/** How normalizations divide a value into rows, each with a mean and a variance of its own. */
import { elementCount, fromStart } from '../../tensor.js';
import type { InnerValue } from '../values/inner-values.js';

/** A value that a normalization takes statistics of. */
export interface NormInput extends Omit<InnerValue, 'way'> {
  readonly epsilon: number;
  readonly rowsOf: (dims: readonly number[]) => Rows;
}

/** The same value on each way from the graph of the model. */
export type PlacedInput = NormInput & InnerValue;

/** Row g of sample n has the elements ((n · parts + p) · groups + g) · length + i, for all p and i. */
export interface Rows {
  readonly samples: number;
  readonly parts: number;
  readonly groups: number;
  readonly length: number;
}

/** Rows of (N, C, …), or of (N, G, …). @param groups Default: one for each channel. */
export const channelRows =
  (groups?: number) =>
  ([samples = 1, channels = 1, ...others]: readonly number[]): Rows => {
    const count = groups ?? channels;
    return { samples, parts: 1, groups: count, length: (channels * elementCount(others)) / count };
  };

/** Rows of (N, …, C), or of (N, …, G, C / G). */
export const lastChannelRows =
  (groups: number, length: number) =>
  ([samples = 1, ...others]: readonly number[]): Rows => ({
    samples,
    parts: elementCount(others) / (groups * length),
    groups,
    length,
  });

/** Rows of all axes from `axis` on. */
export const rowsFrom =
  (axis: number) =>
  (dims: readonly number[]): Rows => {
    const first = fromStart(axis, dims.length);
    return {
      samples: elementCount(dims.slice(0, first)),
      parts: 1,
      groups: 1,
      length: elementCount(dims.slice(first)),
    };
  };
