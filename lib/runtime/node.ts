/** Which runtimes a provider stands for in Node, and whether they can be used here. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { readFileBytes } from '../files/read.js';
import {
  type Backend,
  type Choice,
  firstUsable,
  type Platform,
  type Provider,
  type Session,
  type SessionOptions,
} from './core/contract.js';
import { openSession } from './core/open.js';
import { nativeBackend } from './native/backend.js';
import { acceleratorBackend } from './ort-node/accelerators.js';
import { whyNotToStart } from './ort-node/installation.js';
import { cpuBackend, WITHOUT_LIBRARY } from './ort-node/model.js';
import { wasmBackend } from './ort-web/node.js';

/** What each provider may be run by, best first. */
const BACKENDS: Record<Provider, readonly [Backend, ...Backend[]]> = {
  native: [nativeBackend],
  cpu: [nativeBackend, cpuBackend],
  cuda: [acceleratorBackend('cuda')],
  tensorrt: [acceleratorBackend('tensorrt')],
  webgpu: [acceleratorBackend('webgpu')],
  wasm: [wasmBackend],
  coreml: [acceleratorBackend('coreml')],
  dml: [acceleratorBackend('dml')],
};

/**
 * The best runtime of a provider that can be used.
 * @param asked Whether the caller asked for a way to run GroupNormalization. Then `cpu` is ONNX Runtime without
 *   the kernel, because only there does each of them mean what it says.
 */
export async function chooseBackend(provider: Provider, asked: boolean): Promise<Choice> {
  const danger = provider === 'wasm' ? undefined : whyNotToStart();
  if (danger !== undefined) return { problems: [{ reason: danger, remedy: WITHOUT_LIBRARY }] };
  return firstUsable(provider === 'cpu' && asked ? [cpuBackend] : BACKENDS[provider]);
}

// SECTION: Sessions in Node.

export const NODE: Platform = {
  defaultProvider: 'cpu',
  readModel: async (path) => ({
    bytes: await readFileBytes(path),
    where: path,
    folder: dirname(resolve(path)),
  }),
  hasFile: (folder, name) => existsSync(join(folder, name)),
  chooseBackend,
};

/**
 * Loads a model into ONNX Runtime.
 * @param model Path of an `.onnx` file, or its bytes.
 * @throws FileError if it cannot be read, ModelError if it is not a model, OptionError, GraphError
 *   `UNKNOWN_LOWERING`, SessionError
 *   `UNKNOWN_PROVIDER`, `PROVIDER_UNAVAILABLE`, `OUT_OF_MEMORY` or `MODEL_REJECTED`, with the runtime's own error as
 *   `cause`.
 */
export const createSession = (model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> =>
  openSession(NODE, model, options);
