/** onnxruntime-web in Node: WebAssembly, which needs no native library. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Env } from 'onnxruntime-web';
import type { Backend } from '../core/contract.js';
import { loadOnWeb } from './model.js';

export const nodeWasmBackend: Backend = {
  provider: 'wasm',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  takesOptionalInputs: false,
  readsWeightsInMemory: true,
  whyUnavailable: () =>
    'WebAssembly' in globalThis ? undefined : 'this Node was started without WebAssembly (--jitless)',
  async load(model, externalDataFolder, options) {
    const ort = await import('onnxruntime-web');
    prepareEnvironment(ort.env.wasm, options.intraOpNumThreads);
    return loadOnWeb(ort, 'wasm', model, options, {
      folder: externalDataFolder,
      read: (folder, name) => readFile(join(folder, name)),
    });
  },
};

/**
 * Sets the number of threads and the folder of the WebAssembly files, unless the program has set them.
 *
 * The process has one module, which reads its settings when it loads the first model: the number of threads of a later
 * model has no effect. By default ONNX Runtime takes one thread for every two cores, at most 4.
 */
function prepareEnvironment(env: Env.WebAssemblyFlags, threads: number | undefined): void {
  // Node's threads inherit the flag `--input-type` without the program's text that it needs, and end the process.
  if (process.execArgv.some((flag) => flag.startsWith('--input-type'))) env.numThreads = 1;
  else if (threads) env.numThreads ??= threads;
  const file = createRequire(import.meta.url).resolve('onnxruntime-web');
  env.wasmPaths ??= pathToFileURL(join(dirname(file), '/')).href;
}
