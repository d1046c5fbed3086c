/** onnxruntime-web in a browser: its files, its settings, and WebAssembly. */
import type { Env } from 'onnxruntime-common';
import { FileError, SessionError } from '../../errors.js';
import { LEAVES_FOLDER } from '../../files/location.js';
import type { Backend } from '../core/contract.js';
import { loadOnWeb } from './model.js';

export const browserWasmBackend: Backend = {
  provider: 'wasm',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  takesOptionalInputs: false,
  readsWeightsInMemory: true,
  whyUnavailable: () => ('WebAssembly' in globalThis ? undefined : 'this browser has no WebAssembly'),
  async load(model, folder, options) {
    const ort = await import('onnxruntime-web/wasm');
    prepareEnvironment(ort.env, options.intraOpNumThreads);
    return loadOnWeb(ort, 'wasm', model, options, { folder, read: fetchExternal });
  },
};

let runtimeFolder: string | undefined;

/**
 * Sets the folder in which the browser finds ONNX Runtime's own files, `ort-wasm-simd-threaded*.wasm` and `.mjs` from
 * `node_modules/onnxruntime-web/dist`. Call it before the first session. Without it onnxruntime-web looks beside its
 * own script, where bundlers that know `new URL(…, import.meta.url)` put them.
 * @param url The URL of a folder, absolute or relative to the page or worker.
 */
export function setRuntimeFolder(url: string | URL): void {
  const text = new URL(url, location().href).href;
  runtimeFolder = text.endsWith('/') ? text : `${text}/`;
}

/**
 * Sets the folder of the WebAssembly files and the number of threads, unless the program has set them. A page or worker
 * has one module of each build, which reads its settings when it loads the first model.
 */
export function prepareEnvironment({ wasm }: Env, threads?: number): void {
  if (runtimeFolder !== undefined) wasm.wasmPaths ??= runtimeFolder;
  // Threads share memory, which only an isolated page may do. Elsewhere there is one thread.
  if (threads && isIsolated()) wasm.numThreads ??= threads;
}

const isIsolated = (): boolean =>
  (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;

/** Fetches a file of external data, which lies beside its model. */
export const fetchExternal = async (folder: string, name: string): Promise<Uint8Array> =>
  fetchBytes(urlWithin(folder, name));

/** Returns the folder of a URL; `undefined` for a URL that is in no folder: `blob:`, `data:`. */
export function folderOf(url: string): string | undefined {
  try {
    return new URL('.', url).href;
  } catch {
    return undefined;
  }
}

/**
 * Returns the URL of a file in a folder. The name comes from a model and is a path, not a URL: `%2e`, `?`, `#`, `:` and `\`
 * are parts of names.
 * @throws SessionError `MODEL_REJECTED` if the path leads out of the folder.
 */
export function urlWithin(folder: string, name: string): string {
  const { href } = new URL(name.split('/').map(encodeURIComponent).join('/'), folder);
  if (href !== folder && href.startsWith(folder)) return href;
  throw new SessionError('MODEL_REJECTED', `the model keeps its weights in '${name}', ${LEAVES_FOLDER}`);
}

/**
 * Fetches a file.
 * @throws FileError `FILE_NOT_FOUND`, `FILE_UNREADABLE`.
 */
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

/** Returns the location of the page or worker. */
export const location = (): { readonly href: string } =>
  (globalThis as unknown as { location: { readonly href: string } }).location;
