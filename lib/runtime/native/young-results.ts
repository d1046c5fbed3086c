/**
 * Results that nobody holds any longer, left to V8's collection of the young generation, which takes 0.2 ms. By itself
 * V8 makes one only where it has allocated the memory; of memory that it was handed it counts 15 to 64 MB, and collects
 * everything, which takes longer than ten runs. docs/performance.md has the measurements. Flags of V8 are changed for
 * moments; ONNX_GROUPNORM_GC=off in the environment leaves them, and V8, to themselves.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'minor' }) => void;

const MIB = 2 ** 20;

/** Bytes of results between two collections: V8 takes 15 MB of them for a reason to collect everything. */
const EVERY = 4 * MIB;

/** Larger results of a run are nearly that by themselves, and each collection would be one of everything. */
const LARGEST = 20 * MIB;

/** One that takes longer has been made one of everything. */
const SLOW_MS = 2;

/** Results that are held for longer get old by being collected: after so many collections in vain … */
const VAIN = 3;
/** … V8 is left to itself for so many bytes of them. */
const REST = 256 * MIB;

/** How often the collector is asked for: another thread may take the flag away between two lines. */
let attempts = process.env.ONNX_GROUPNORM_GC === 'off' ? 0 : 5;
let collect: Collect | undefined;

let every = EVERY;
let since = 0;
let inVain = 0;

/** Takes note of `bytes` that a run has handed over. */
export function handedOver(bytes: number): void {
  since = bytes > LARGEST ? 0 : since + bytes;
}

/** Whether a collection is worth its while beside the next run, which must then be made on another thread. */
export const youngResultsAreDue = (): boolean => since >= every;

/**
 * To be called once the caller of a run is off the stack, where it holds the result that it has just awaited; and
 * before the run is over, as V8 takes for old what it meets in two collections.
 */
export function collectYoungResults(): void {
  if (!youngResultsAreDue()) return;
  if (!collect && attempts-- > 0) collect = findCollector();
  if (collect) {
    const start = performance.now();
    const freed = bytesFreedBy(collect);
    const isVain = freed < since / 2 || performance.now() - start > SLOW_MS;
    // The first one after a rest meets what is left from it.
    inVain = every === EVERY && isVain ? inVain + 1 : 0;
    every = inVain === VAIN ? REST : EVERY;
  }
  since = 0;
}

/** Who has started V8 with less concurrency is left with it. */
const SWEEPS_CONCURRENTLY = !/array.buffer.sweeping|single.threaded|predictable/.test(
  process.execArgv.join(),
);

function bytesFreedBy(collector: Collect): number {
  const before = getHeapStatistics().external_memory;
  // What has died is counted until it is swept, and threads that run a model may keep it waiting.
  if (SWEEPS_CONCURRENTLY) setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  collector({ type: 'minor' });
  if (SWEEPS_CONCURRENTLY) setFlagsFromString('--concurrent-array-buffer-sweeping');
  return before - getHeapStatistics().external_memory;
}

/** V8 gives its collector to the contexts that are made while its flag is set; other engines have none to give. */
function findCollector(): Collect | undefined {
  const find = () => runInNewContext('globalThis.gc') as Collect | undefined;
  try {
    return find() ?? withFlag('expose-gc', find);
  } catch {
    return undefined;
  }
}

function withFlag<T>(flag: string, action: () => T): T {
  setFlagsFromString(`--${flag}`);
  try {
    return action();
  } finally {
    setFlagsFromString(`--no-${flag}`);
  }
}
