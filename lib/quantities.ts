/** Numbers and sizes as people read them. */

/** `830 bytes`, `1.24 kB`, `3.6 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const [unit, size] = bytes < 1e6 ? ['kB', 1e3] : bytes < 1e9 ? ['MB', 1e6] : ['GB', 1e9];
  return `${Number((bytes / size).toPrecision(3))} ${unit}`;
}

/** `0.42 ms`, `12.3 ms`, `1.25 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Number(milliseconds.toPrecision(3))} ms`;
  return `${Number((milliseconds / 1000).toPrecision(3))} s`;
}

/** A difference: two digits say enough. `–` for `undefined`. */
export function formatDifference(value: number | undefined): string {
  if (value === undefined) return '–';
  if (value === 0) return '0';
  return Number.isFinite(value) ? value.toExponential(1) : String(value);
}

/** A distance in units in the last place: a whole number while it can be read as one. */
export const formatUlp = (value: number): string =>
  Number.isFinite(value) && value < 1e6 ? String(value) : formatDifference(value);

/** A number of any size in up to six digits. */
export const formatNumber = (value: number): string => String(Number(value.toPrecision(6)));

/** `1 node`, `2 nodes`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
