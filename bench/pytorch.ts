/** Runs PyTorch's GroupNorm as a contestant in its own process. */
import { fileURLToPath } from 'node:url';
import { startProgram } from './programs.js';
import type { Contestant } from './statistics.js';

/** @param python A Python that has torch. */
export function startPyTorch(python: string, shape: readonly number[], threads: number): Contestant {
  const script = fileURLToPath(new URL('pytorch.py', import.meta.url));
  return startProgram(python, [script, 'time', String(threads), shape.join('x')]);
}
