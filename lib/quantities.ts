/** Formats numbers and sizes for people. */

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

/** Formats a difference with two digits: `1.2e-6`; `–` for `undefined`. */
export function formatDifference(value: number | undefined): string {
  if (value === undefined) return '–';
  if (value === 0) return '0';
  return Number.isFinite(value) ? value.toExponential(1) : String(value);
}

/** Formats a number of any size with at most so many digits. */
export const formatDigits = (value: number, digits: number): string =>
  String(Number(value.toPrecision(digits)));

/** Formats a number of any size with at most six digits. One parameter, so that `map` takes it. */
export const formatNumber = (value: number): string => formatDigits(value, 6);

/** `a, b, c`; of a long list the first names, and how many more there are. */
export const listNames = (names: readonly string[], most = 20): string =>
  names.length <= most
    ? names.join(', ')
    : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;

/** `1 node`, `2 nodes`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
