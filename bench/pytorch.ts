/** PyTorch's GroupNorm as a contestant, in a process of its own. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Contestant } from './statistics.js';

/** @param python One that has torch. */
export function startPyTorch(python: string, shape: readonly number[], threads: number): Contestant {
  const script = fileURLToPath(new URL('pytorch.py', import.meta.url));
  const child = spawn(python, [script, String(threads), shape.join('x')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = new Promise((resolve) => child.once('close', resolve));
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  // One that has ended says so by the end of its lines.
  child.stdin.on('error', () => {});
  return {
    async turn(calls) {
      child.stdin.write(`${calls}\n`);
      const line = await Promise.race([lines.next(), failed]);
      if (line.done) throw new Error(`${python} ended without an answer: has it torch?`);
      return Number(line.value);
    },
    async end() {
      child.stdin.end();
      await closed;
    },
  };
}
