/** How often V8 collects. */
import { constants, PerformanceObserver } from 'node:perf_hooks';

export interface CollectionCounts {
  /** Collections of the young generation. */
  young: number;
  /** Collections of everything. */
  all: number;
}

/** Counts from now on; the entries of a collection come with a later turn of the event loop. */
export function countCollections(): Readonly<CollectionCounts> {
  const counts = { young: 0, all: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as unknown as { detail: { kind: number } }).detail;
      if (kind === constants.NODE_PERFORMANCE_GC_MINOR) counts.young++;
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) counts.all++;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return counts;
}
