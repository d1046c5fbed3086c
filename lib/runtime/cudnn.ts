/** cuDNN, which ONNX Runtime from 1.29 on looks for when the first convolution needs it; all else runs without. */
import type { Problem } from './backend.js';
import { cudnnRemedy } from './cuda-remedies.js';
import { inOtherProcess } from './other-process.js';

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

const PROGRAM = `
try {
  process.dlopen({ exports: {} }, process.argv.at(-1));
} catch (error) {
  console.log(error.message);
}
`;

/** In a process of its own, which the library may end. Node says of one that it could load that it is not an addon. */
export async function loadsElsewhere(library: string): Promise<boolean> {
  const { stdout, end } = await inOtherProcess(PROGRAM, [library], { milliseconds: 30_000 });
  return end === 'status 0' && stdout.includes('did not self-register');
}
