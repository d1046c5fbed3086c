/**
 * Which runs may be made on the spot. One that takes less than the way to another thread and back is better made at
 * once, but while it lasts the event loop stands still, and nobody can abort it.
 */
import { Model } from '../../onnx/model.js';
import type { TensorInfo } from '../core/contract.js';

/** A model with larger weights takes longer than the way to another thread in any case. */
const MAX_BYTES = 2 ** 20;

/**
 * Whether how long a run takes is settled by the sizes of its inputs. Loops may go round as often as a value says,
 * and integers may be the sizes of what is computed.
 */
export const takesSteadyTime = (model: Uint8Array, inputs: readonly TensorInfo[]): boolean =>
  model.byteLength <= MAX_BYTES &&
  inputs.every(({ dtype }) => /float/.test(dtype)) &&
  Model.decode(model).nestedOpTypes().size === 0;

/** How long runs on the spot may keep the event loop from turning: their promises are settled before it does. */
const MAX_MILLISECONDS = 2;

let sinceLastTurn: number | undefined;

/** Whether the event loop has turned lately enough for another run on the spot. */
export function loopHasTime(): boolean {
  const now = performance.now();
  if (sinceLastTurn === undefined) setImmediate(() => (sinceLastTurn = undefined));
  sinceLastTurn ??= now;
  return now - sinceLastTurn < MAX_MILLISECONDS;
}
