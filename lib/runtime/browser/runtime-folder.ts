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
