/** How a model ran, and how long it took. */
import type { Session } from '../../runtime/core/contract.js';
import type { Progress } from '../shared/progress.js';
import { formatDuration } from '../shared/table.js';

export interface TimedResult<T> {
  /** What the last run gave. */
  readonly result: T;
  /** Milliseconds of each run. */
  readonly times: readonly number[];
}

/**
 * A run in which the session moved to another provider is none of that one's, and made again.
 * @param repeat At least 1.
 */
export async function runRepeatedly<T>(
  session: Pick<Session, 'provider'>,
  repeat: number,
  progress: Progress,
  action: () => Promise<T>,
): Promise<TimedResult<T>> {
  const times: number[] = [];
  for (;;) {
    progress.step(`run ${times.length + 1} of ${repeat}`);
    const { provider } = session;
    const start = performance.now();
    const result = await action();
    if (session.provider === provider) times.push(performance.now() - start);
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

/** `cpu, GroupNormalization as reduce-mean`: the provider, and what became of the operator if the model has it. */
export function describeExecution({ provider, groupNorm }: Pick<Session, 'provider' | 'groupNorm'>): string {
  if (groupNorm === undefined) return provider;
  return `${provider}, GroupNormalization ${groupNorm === 'kernel' ? 'by the native kernel' : `as ${groupNorm}`}`;
}

/** A line for each provider that was asked for before the one that ran. */
export const describeFallbacks = ({ fallbacks }: Pick<Session, 'fallbacks'>): string[] =>
  fallbacks.map(({ provider, reason }) => `not on ${provider}: ${reason}`);
