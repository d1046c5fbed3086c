/** ONNX Runtime on WebAssembly in a browser. */
import type { Backend } from '../backend.js';
import { loadOnWeb } from '../web-model.js';
import { prepareEnvironment } from './environment.js';
import { fetchExternal } from './fetch-external.js';

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
