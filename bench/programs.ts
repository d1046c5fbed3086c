/** Contestants in their own processes: programs that read numbers of calls, and print the milliseconds of a call. */
import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import type { Contestant } from './statistics.js';

/** Starts a program. A turn fails with the program's last error if the program has ended. */
export function startProgram(command: string, args: readonly string[]): Contestant {
  const child = spawn(command, args, { stdio: 'pipe' });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = new Promise((resolve) => child.once('close', resolve));
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors = (errors + text.toString()).slice(-2000)));
  // If the process has ended, the end of its output reports the failure.
  child.stdin.on('error', () => {});
  failed.catch(() => {});
  return {
    async turn(calls) {
      child.stdin.write(`${calls}\n`);
      const line = await Promise.race([answers.next(), failed]);
      if (!line.done) return Number(line.value);
      await closed;
      const lines = errors.trim().split('\n');
      const reason = lines.findLast((text) => /Error/.test(text)) ?? lines.at(-1) ?? '';
      throw new Error(`${basename(command)} ended without an answer: ${reason.trim() || 'it crashed'}`);
    },
    async end() {
      child.stdin.end();
      await Promise.race([closed, failed.catch(() => {})]);
    },
  };
}
