/** Programs in a process of their own: what is tried there may end it. */
import { spawn } from 'node:child_process';

/** What came of one. */
export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status or signal. */
  readonly end: string;
}

/** @param program JavaScript, whose arguments are the last of `process.argv`. */
export function inOtherProcess(
  program: string,
  args: readonly string[],
  { input, milliseconds }: { readonly input?: Uint8Array; readonly milliseconds: number },
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', program, '--', ...args], {
      env: { ...process.env, NODE_OPTIONS: '' },
      timeout: milliseconds,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', (error) => resolve({ stdout, stderr, end: error.message }));
    child.on('close', (code, signal) => resolve({ stdout, stderr, end: signal ?? `status ${code}` }));
    // A process that ends before it has read everything is told of by its end.
    child.stdin.on('error', () => undefined).end(input);
  });
}

/** The last line that says something: behind an error Node writes its stack, and its own version. */
export function lastOf(text: string): string {
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(?: {4}at |Node\.js v)/.test(line));
  const line = lines.at(-1);
  return line === undefined ? '' : `: ${line.trim()}`;
}
