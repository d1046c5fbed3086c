/** ONNX Runtime through onnxruntime-web in Node: WebAssembly, which needs no native library. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Env } from 'onnxruntime-web';
import type { Backend } from '../core/contract.js';
import { loadOnWeb } from './model.js';

export const wasmBackend: Backend = {
  provider: 'wasm',
  hasGroupNormKernel: false,
  takesBfloat16: false,
  whyUnavailable: () =>
    !('WebAssembly' in globalThis) ? 'this Node was started without WebAssembly (--jitless)' : undefined,
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
 * The module is one for the whole process and reads its settings when its first model is loaded: what a program set
 * before that stays, and a later model's number of threads changes nothing. Unless a number is asked for it is
 * ONNX Runtime's: one for every two cores, at most 4. Threads wait for work by asking for it again and again, so that
 * on cores that are busy otherwise a second one made a U-Net take 119 ms in place of 71.
 */
function prepareEnvironment(env: Env.WebAssemblyFlags, threads: number | undefined): void {
  // Threads are started with the program's own flags, and end the process over one that is for the program's text.
  if (process.execArgv.some((flag) => flag.startsWith('--input-type'))) env.numThreads = 1;
  else if (threads) env.numThreads ??= threads;
  const file = createRequire(import.meta.url).resolve('onnxruntime-web');
  env.wasmPaths ??= pathToFileURL(join(dirname(file), '/')).href;
}
