/** The memory of onnxruntime-web's module: 4 GiB that all sessions of a thread share, and that only grow. */
import type { InferenceSession } from 'onnxruntime-common';
import type { TensorRecord } from '../core/contract.js';

/** What of onnxruntime-web's InferenceSession is used. */
interface Loader {
  create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<unknown>;
}

/** What 32 bits can address. */
const ADDRESS_SPACE = 2 ** 32;
/** For names and options, which a run allocates before its inputs. */
const SPARE_BYTES = 2 ** 20;

/**
 * onnxruntime-web copies an input to where malloc says, and where malloc has failed that is address 0: the module is
 * overwritten, and hangs or computes something else. Only for the bytes of a model does it look, so it is asked to
 * load as many, and given the first of them, which are not a model. That takes 15 µs.
 */
export async function requireRoom(loader: Loader, feeds: TensorRecord): Promise<void> {
  const size = Object.values(feeds).reduce((bytes, { data }) => bytes + data.byteLength, 0);
  if (size + SPARE_BYTES < ADDRESS_SPACE && (await canAllocate(loader, size + SPARE_BYTES))) return;
  throw new Error(`WebAssembly failed to allocate ${size} bytes for the inputs`);
}

function canAllocate(loader: Loader, size: number): Promise<boolean> {
  const claim = Object.defineProperty(new Uint8Array(8), 'byteLength', { value: size });
  return loader.create(claim, { executionProviders: ['wasm'], logSeverityLevel: 4 }).then(
    () => true,
    (error: unknown) => !String(error).includes('failed to allocate'),
  );
}

let isSpent = false;

/** When an allocation has failed, not all is freed that was taken: sizes that fitted before may not fit any more. */
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
