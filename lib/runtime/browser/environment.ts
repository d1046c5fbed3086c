/** The settings of one build of onnxruntime-web. */
import type { Env } from 'onnxruntime-common';
import { getRuntimeFolder } from './runtime-folder.js';

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
