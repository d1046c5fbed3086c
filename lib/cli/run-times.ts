/** How long runs take. */
import { formatDuration } from './format.js';
import type { Progress } from './progress.js';

export interface TimedResult<T> {
  /** What the last run gave. */
  readonly result: T;
  /** Milliseconds of each run. */
  readonly times: readonly number[];
}

/** @param repeat At least 1. */
export async function runRepeatedly<T>(
  repeat: number,
  progress: Progress,
  action: () => Promise<T>,
): Promise<TimedResult<T>> {
  const times: number[] = [];
  for (;;) {
    progress.step(`run ${times.length + 1} of ${repeat}`);
    const start = performance.now();
    const result = await action();
    times.push(performance.now() - start);
    if (times.length >= repeat) return { result, times };
  }
}

/** `12.3 ms`, or of several runs the fastest and the median. */
export function describeTimes(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const [fastest = 0] = sorted;
  if (sorted.length === 1) return formatDuration(fastest);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return `${sorted.length} runs, fastest ${formatDuration(fastest)}, median ${formatDuration(median)}`;
}
