/**
 * Results that nobody holds any longer, left to V8's collection of the young generation, which takes 0.2 ms. V8 looks
 * at how much memory young ArrayBuffers hold only where it allocates one itself. It is given the results' memory, and
 * so never looks: it counts to 64 MB and collects everything, which takes 4 to 10 ms.
 */
import { getHeapStatistics } from 'node:v8';

const MIB = 2 ** 20;

/** V8 collects the young generation at 32 MiB of such memory: often enough to meet that. */
const EVERY = 8 * MIB;

/** In a smaller heap V8 would begin to collect everything right behind the young generation. */
const LEAST_HEAP = 16 * MIB;

let sinceLastLook = 0;

/** Takes note of results: `bytes` of them. */
export function handedOver(bytes: number): void {
  sinceLastLook += bytes;
}

/** Before a run: what it will hand over must not be there yet, as V8 moves to the old what it meets twice. */
export function letYoungResultsGo(): void {
  if (sinceLastLook < EVERY) return;
  sinceLastLook = 0;
  // Any size will do: the look is what is wanted.
  if (getHeapStatistics().used_heap_size >= LEAST_HEAP) new ArrayBuffer(1);
}
