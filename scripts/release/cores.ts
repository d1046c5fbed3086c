/** Work that is spread over the cores of this machine. */
import { availableParallelism } from 'node:os';

/** Returns the results of a job for each item, in their order, with as many jobs under way as there are cores. */
export async function onAllCores<T, R>(items: readonly T[], job: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const takeTurns = async (): Promise<void> => {
    for (const [i, item] of rest) results[i] = await job(item);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, takeTurns));
  return results;
}
