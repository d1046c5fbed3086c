import type { Env } from 'onnxruntime-common';
import { FileError } from '../../errors.js';
import type { Backend } from '../core/contract.js';
import { loadOnWeb } from './model.js';

/** Where ONNX Runtime's own files are served. */

let runtimeFolder: string | undefined;

/**
 * Says where the browser finds ONNX Runtime's own files, `ort-wasm-simd-threaded*.wasm` and `.mjs` out of
 * `node_modules/onnxruntime-web/dist`. Call it before the first session. Without it onnxruntime-web looks beside its
 * own script, which is where bundlers that know `new URL(…, import.meta.url)` put them.
 * @param url Of a folder, absolute or relative to the page or worker.
 */
export function setRuntimeFolder(url: string | URL): void {
  const text = new URL(url, location().href).href;
  runtimeFolder = text.endsWith('/') ? text : `${text}/`;
}

/** As it was set. */
export const getRuntimeFolder = (): string | undefined => runtimeFolder;

/** Of the page or worker. Only a browser has it, and only there does this run. */
export const location = (): { readonly href: string } =>
  (globalThis as unknown as { location: { readonly href: string } }).location;

// SECTION: Files by URL.

/** @throws FileError `FILE_NOT_FOUND`, `FILE_UNREADABLE`. */
export async function fetchBytes(url: string): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FileError('FILE_UNREADABLE', `cannot fetch '${url}': ${reason}`, { cause });
  }
  const code = [404, 410].includes(response.status) ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE';
  throw new FileError(code, `cannot fetch '${url}': the server answers ${response.status}`);
}

/** A file of external data, which lies beside its model. */
export const fetchExternal = (folder: string, name: string): Promise<Uint8Array> =>
  fetchBytes(new URL(name, folder).href);

// SECTION: The settings of one build of onnxruntime-web.

/**
 * A build is one for the whole page or worker and reads its settings when its first model is loaded: what a program
 * set before that stays.
 */
export function prepareEnvironment({ wasm }: Env, threads?: number): void {
  const folder = getRuntimeFolder();
  if (folder !== undefined) wasm.wasmPaths ??= folder;
  // Threads share memory, which only an isolated page may have; elsewhere there is one.
  if (threads && isIsolated()) wasm.numThreads ??= threads;
}

const isIsolated = (): boolean =>
  (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;

// SECTION: ONNX Runtime on WebAssembly in a browser.

export const wasmBackend: Backend = {
  provider: 'wasm',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  whyUnavailable: () => ('WebAssembly' in globalThis ? undefined : 'this browser has no WebAssembly'),
  async load(model, folder, options) {
    const ort = await import('onnxruntime-web/wasm');
    prepareEnvironment(ort.env, options.intraOpNumThreads);
    return loadOnWeb(ort, 'wasm', model, options, { folder, read: fetchExternal });
  },
};
