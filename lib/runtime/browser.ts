/** Sessions in a browser. */
import {
  type Choice,
  firstUsable,
  type Platform,
  type Provider,
  type Session,
  type SessionOptions,
} from './core/contract.js';
import { openSession } from './core/open.js';
import { fetchBytes, location, wasmBackend } from './ort-web/browser.js';
import { webgpuBackend } from './ort-web/webgpu.js';

const BROWSER: Platform = {
  defaultProvider: 'wasm',
  async readModel(url) {
    const { href } = new URL(url, location().href);
    return { bytes: await fetchBytes(href), where: url, folder: new URL('.', href).href };
  },
  // Nobody knows before it is fetched.
  hasFile: () => true,
  chooseBackend,
};

function chooseBackend(provider: Provider): Promise<Choice> {
  if (provider === 'wasm') return firstUsable([wasmBackend]);
  if (provider === 'webgpu') return firstUsable([webgpuBackend]);
  return Promise.resolve({ problems: [{ reason: 'no browser has it; there are: wasm, webgpu' }] });
}

/**
 * Loads a model into ONNX Runtime, which is onnxruntime-web: on WebAssembly (`wasm`), or on a GPU (`webgpu`), which is
 * used only where a small model was seen to come out right on it. {@link setRuntimeFolder} says where its files are.
 * @param model URL of an `.onnx` file, relative to the page or worker, which is fetched; or its bytes.
 * @throws FileError if it cannot be fetched, ModelError if it is not a model, OptionError, GraphError
 *   `UNKNOWN_LOWERING`, SessionError
 *   `UNKNOWN_PROVIDER`, `PROVIDER_UNAVAILABLE`, `OUT_OF_MEMORY` or `MODEL_REJECTED`, with the runtime's own error as
 *   `cause`.
 */
export const createSession = (model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> =>
  openSession(BROWSER, model, options);
