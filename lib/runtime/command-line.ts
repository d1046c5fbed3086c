/**
 * ONNX Runtime 1.30 looks through the process's command line with a regular expression of C++ when it starts, which
 * takes 200 bytes of the stack and more for each byte: at 30,000 bytes it ends the process, with 8 MiB of stack.
 */
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** Bytes that it is safe with. A worker thread has half the stack. */
const LONGEST = isMainThread ? 20_000 : 8_000;

/** @returns Why ONNX Runtime's native library must not be started in this process; nothing if it may. */
export function whyNotToStart(length = ownLength(), longest = LONGEST): string | undefined {
  if (length <= longest) return undefined;
  return (
    `the command line of this process is ${length} bytes long, and ONNX Runtime ends a process over one of more than ` +
    `about ${longest}: give fewer arguments, such as a folder in the place of its files`
  );
}

let known: number | undefined;
const ownLength = (): number => (known ??= commandLineLength());

/** On Linux, where ONNX Runtime reads it. */
function commandLineLength(): number {
  if (process.platform !== 'linux') return 0;
  try {
    return readFileSync('/proc/self/cmdline').length;
  } catch {
    return 0;
  }
}
