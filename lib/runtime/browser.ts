/** Sessions in a browser. */
import type { Platform, Session, SessionOptions } from './core/contract.js';
import { openSession } from './session/open.js';
import { browserWasmBackend, fetchBytes, folderOf, location } from './ort-web/browser.js';
import { webgpuBackend } from './ort-web/webgpu.js';

export const BROWSER: Platform = {
  defaultProvider: 'wasm',
  backends: { wasm: [browserWasmBackend], webgpu: [webgpuBackend] },
  async readModel(url) {
    const { href } = new URL(url, location().href);
    return { bytes: await fetchBytes(href), where: url, folder: folderOf(href) };
  },
  // Only fetching the file tells whether it exists.
  dataFileProblem: () => undefined,
};

/**
 * Loads a model into ONNX Runtime, which is onnxruntime-web here: on WebAssembly (`wasm`), or on a GPU (`webgpu`),
 * which is used only if it computes a small model correctly. {@link setRuntimeFolder} says where its files are.
 * @param model The URL of an `.onnx` file, absolute or relative to the page or worker; or its bytes.
 * @throws FileError if the file cannot be fetched, ModelError if it is not a model, OptionError, GraphError
 *   `UNKNOWN_LOWERING`, SessionError `UNKNOWN_PROVIDER`, `PROVIDER_UNAVAILABLE`, `OUT_OF_MEMORY` or `MODEL_REJECTED`,
 *   with the runtime's own error as `cause`.
 */
export const createSession = (model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> =>
  openSession(BROWSER, model, options);
