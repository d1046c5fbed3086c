/**
 * Results that nobody holds any longer, left to V8's collection of the young generation. By itself V8 makes one only
 * where it has allocated the memory; of memory that it was handed it counts 15 to 64 MB, and collects everything, which
 * takes ten runs' time and more.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'minor' }) => void;

const MIB = 2 ** 20;

/** Bytes of results between two collections: well under what V8 lets be before it collects everything. */
const EVERY = 8 * MIB;

/** Larger results are more than V8 lets be each by itself, and it collects everything in any case. */
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

/** To be called before a run, not behind it: what V8 meets in two collections it takes for old. */
export function collectYoungResults(): void {
  if (since < EVERY) return;
  if (largest <= LARGEST) {
    if (!collect && attempts-- > 0) collect = findCollector();
    collect?.({ type: 'minor' });
  }
  since = largest = 0;
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
