/** Workarounds for faults of onnxruntime-web 1.30, each with the condition for removing it. */
import type { InferenceSession } from 'onnxruntime-common';
import { SessionError } from '../../errors.js';
import { type AnyTensor, isStringTensor } from '../../tensor.js';
import type { AnyTensorRecord } from '../core/contract.js';

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs actions one after another, and explains errors about memory.
 *
 * onnxruntime-web keeps the arguments of a run on the one stack of its WebAssembly module while it waits for promises,
 * and a second run overwrites them. No issue upstream is known. To reproduce: run two sessions, of one and of two inputs,
 * in six loops at once; some runs fail with a TypeError.
 * Remove this when `run` of lib/wasm/wasm-core-impl.ts no longer awaits between `stackSave` and `stackRestore`.
 */
export function inTurn<T>(action: () => Promise<T>): Promise<T> {
  const result = last.then(() => {
    requireAlive();
    return action();
  });
  const explained = result.catch((error: unknown) => {
    throw explainMemory(explainEnd(error));
  });
  last = explained.catch(() => undefined);
  return explained;
}

/** What ended the module. */
let end: string | undefined;

/** Whether the module has ended, so that a session has nothing left to release. */
export const hasEnded = (): boolean => end !== undefined;

/**
 * Notes an error that ends the module: a trap or an abort of WebAssembly, such as a GRU of an input (0, 1, 2). Where native
 * ONNX Runtime would end the process, the module goes on with memory in no defined state, and its later calls fail at
 * random. onnxruntime-web cannot load a second module. Remove this when it refuses calls after an abort by itself.
 */
function explainEnd(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== 'RuntimeError' || hasEnded()) return error;
  end = error.message.replace(/\.$/, '');
  return new Error(`${end}. ${ENDED}`, { cause: error });
}

/** @throws SessionError `PROVIDER_UNAVAILABLE` if the module has ended. */
function requireAlive(): void {
  if (hasEnded())
    throw new SessionError('PROVIDER_UNAVAILABLE', `an earlier run has ended WebAssembly (${end}). ${ENDED}`);
}

const ENDED =
  "This ends provider 'wasm' in this thread, for all its sessions: a new worker or process has a fresh one";

/** What 32 bits can address: the memory of the module, which all sessions of a thread share. */
const ADDRESS_SPACE = 2 ** 32;
/** For names and options, which a run allocates before its inputs. */
const SPARE_BYTES = 2 ** 16;

/** The class of onnxruntime-web that loads models. */
interface Loader {
  create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<unknown>;
}

/**
 * Checks that the module has room for the inputs of a run.
 *
 * onnxruntime-web does not check the allocation of an input: it copies the input to address 0 if the allocation fails,
 * and the module hangs or computes something else. It checks only the allocation of a model. So it is asked to load a
 * blank model of the inputs' size, which it allocates, copies and then refuses. That costs one copy of the inputs.
 * No issue upstream is known. To reproduce: run an Add of one input of 2^31 - 2^22 bytes with itself.
 * Remove this when `prepareInputOutputTensor` of lib/wasm/wasm-core-impl.ts checks the result of `_malloc`.
 * @throws Error if there is no room.
 */
export async function requireRoom(loader: Loader, feeds: AnyTensorRecord): Promise<void> {
  const size = Object.values(feeds).reduce((bytes, value) => bytes + bytesOf(value), 0);
  if (size + SPARE_BYTES < ADDRESS_SPACE && (await canAllocate(loader, size + SPARE_BYTES))) return;
  throw new Error(`WebAssembly failed to allocate ${size} bytes for the inputs`);
}

/** Of a text, at most 3 bytes for each of its UTF-16 units, and its end. */
const bytesOf = (value: AnyTensor): number =>
  isStringTensor(value)
    ? value.data.reduce((bytes, text) => bytes + 3 * text.length + 1, 0)
    : value.data.byteLength;

async function canAllocate(loader: Loader, size: number): Promise<boolean> {
  try {
    await loader.create(new Uint8Array(size), { executionProviders: ['wasm'], logSeverityLevel: 4 });
  } catch (error) {
    return !(error instanceof RangeError || String(error).includes('failed to allocate'));
  }
  return true;
}

let isSpent = false;

/**
 * Returns an error about memory with what to do; any other error as it is.
 *
 * After an allocation has failed within ONNX Runtime, the module does not free all that the run had taken: sizes that
 * fitted before may not fit any more. No issue upstream is known. To reproduce: run a model that needs more than 4 GiB,
 * then one that needs 3. Remove this when the second run succeeds.
 */
export function explainMemory(error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error);
  if (!/bad_alloc|failed to allocate/.test(message)) return error;
  isSpent ||= message.includes('bad_alloc');
  if (!isSpent) return error;
  const remedy = 'a new worker or process has a fresh one';
  return new Error(
    `${message}. The memory of WebAssembly in this thread is spent, for all its sessions: ${remedy}`,
    { cause: error },
  );
}

/** The size that onnxruntime-web reports for a dimension with neither size nor name: −1 in 32 bits. */
const NAMELESS = 2 ** 32 - 1;

/**
 * Returns the metadata of a tensor with an empty name for each dimension that has neither size nor name, as
 * onnxruntime-node describes it. No issue upstream is known. To reproduce: load a model whose input has a dimension
 * without `dim_value` and `dim_param`. Remove this when `inputMetadata` no longer has the size 4294967295.
 */
export const withNamelessDims = (metadata: InferenceSession.ValueMetadata): InferenceSession.ValueMetadata =>
  metadata.isTensor
    ? { ...metadata, shape: metadata.shape.map((dim) => (dim === NAMELESS ? '' : dim)) }
    : metadata;
