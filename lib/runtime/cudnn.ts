/** cuDNN, which ONNX Runtime from 1.29 on looks for when the first convolution needs it; all else runs without. */
import { execFile } from 'node:child_process';
import type { Problem } from './backend.js';
import { cudnnRemedy } from './cuda-remedies.js';

/** The version that ONNX Runtime asks the dynamic loader for. */
const VERSION = '9';

/**
 * @param canLoad Whether the dynamic loader finds a library.
 * @returns What is missing; nothing if it is there.
 */
export async function missingCudnn(canLoad = loadsElsewhere): Promise<Problem | undefined> {
  if (await canLoad(`libcudnn.so.${VERSION}`)) return undefined;
  return {
    reason: `cuDNN ${VERSION} is not found, and convolutions need it: a model that has some does not run on CUDA`,
    remedy: cudnnRemedy(VERSION),
  };
}

/** In a process of its own, which the library may end. Node says of one that it could load that it is no addon. */
export function loadsElsewhere(library: string): Promise<boolean> {
  const program = `try { process.dlopen({ exports: {} }, ${JSON.stringify(library)}) } catch (error) { console.log(error.message) }`;
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_OPTIONS: '' };
    execFile(process.execPath, ['-e', program], { env, timeout: 30_000 }, (error, stdout) =>
      resolve(error === null && /did not self-register/.test(stdout)),
    );
  });
}
