/** Runs PyTorch's GroupNorm as a contestant in its own process. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Contestant } from './statistics.js';

/** @param python A Python that has torch. */
export function startPyTorch(python: string, shape: readonly number[], threads: number): Contestant {
  const script = fileURLToPath(new URL('pytorch.py', import.meta.url));
  const child = spawn(python, [script, String(threads), shape.join('x')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = new Promise((resolve) => child.once('close', resolve));
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  // If the process has ended, the end of its output reports the failure.
  child.stdin.on('error', () => {});
  return {
    async turn(calls) {
      child.stdin.write(`${calls}\n`);
      const line = await Promise.race([lines.next(), failed]);
      if (line.done) throw new Error(`${python} ended without an answer: check that it has torch`);
      return Number(line.value);
    },
    async end() {
      child.stdin.end();
      await closed;
    },
  };
}
