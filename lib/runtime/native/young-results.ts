/**
 * Results that nobody holds any longer, left to V8's collection of the young generation, which takes 0.2 ms. By itself
 * V8 makes one only where it has allocated the memory; of memory that it was handed it counts 15 to 64 MB, and collects
 * everything, which takes longer than ten runs. docs/performance.md has the measurements.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'minor' }) => void;

const MIB = 2 ** 20;

/** Bytes of results between two collections: V8 takes 15 MB of them for a reason to collect everything. */
const EVERY = 4 * MIB;

/** A larger result is nearly that by itself, and each collection would be one of everything. */
const LARGEST = 20 * MIB;

/** How often the collector is asked for: another thread may take the flag away between two lines. */
let attempts = 5;
let collect: Collect | undefined;

let since = 0;
let largest = 0;

/** Takes note of `bytes` that a run has handed over. */
export function handedOver(bytes: number): void {
  since += bytes;
  largest = Math.max(largest, bytes);
}

/** Whether a collection is worth its while beside the next run, which must then be made on another thread. */
export const youngResultsAreDue = (): boolean => since >= EVERY;

/**
 * To be called once the caller of a run is off the stack, where it holds the result that it has just awaited; and
 * before the run is over, as V8 takes for old what it meets in two collections.
 */
export function collectYoungResults(): void {
  if (youngResultsAreDue() && largest <= LARGEST) collectYoung();
  since = largest = 0;
}

function collectYoung(): void {
  if (!collect && attempts-- > 0) collect = findCollector();
  if (!collect) return;
  // What has died is counted until it is swept, and threads that run a model may keep it waiting.
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  collect({ type: 'minor' });
  setFlagsFromString('--concurrent-array-buffer-sweeping');
}

/** V8 gives its collector to the contexts that are made while its flag is set; other engines have none to give. */
function findCollector(): Collect | undefined {
  const isExposed = 'gc' in globalThis;
  try {
    setFlagsFromString('--expose-gc');
    const found = runInNewContext('globalThis.gc') as Collect | undefined;
    if (!isExposed) setFlagsFromString('--no-expose-gc');
    return found;
  } catch {
    return undefined;
  }
}
