/** Programs that run in a child process, because what they try may end the process. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** How a child process ended, and what it wrote. */
export interface ChildResult {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit status or the signal: `status 1`, `SIGKILL`. */
  readonly end: string;
}

/**
 * Runs a JavaScript file in a child process with this Node, and waits for its end.
 * @param milliseconds The process is killed after this time.
 */
export function runInChild(
  file: URL,
  args: readonly string[],
  { input, milliseconds }: { readonly input?: Uint8Array; readonly milliseconds: number },
): Promise<ChildResult> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [fileURLToPath(file), ...args], {
      env: { ...process.env, NODE_OPTIONS: '' },
      timeout: milliseconds,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', (error) => resolve({ stdout, stderr, end: error.message }));
    child.on('close', (code, signal) => resolve({ stdout, stderr, end: signal ?? `status ${code}` }));
    // The child may end before it has read everything; `end` reports that.
    child.stdin.on('error', () => undefined).end(input);
  });
}

/** Returns `: ` and the last line of `text` that is neither part of a stack nor Node's version; empty if none is. */
export function lastMessage(text: string): string {
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(?: {4}at |Node\.js v)/.test(line));
  const line = lines.at(-1);
  return line === undefined ? '' : `: ${line.trim()}`;
}
