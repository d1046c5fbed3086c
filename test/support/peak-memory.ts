/**
 * The highest resident memory of this process. Not `resourceUsage().maxRSS`: on Linux a process begins with the peak of the
 * process that started it.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const isLinux = process.platform === 'linux';

/** Makes the peak begin anew, and returns the memory of now, in bytes. Source: proc_pid_clear_refs(5). */
export function resetPeak(): number {
  if (isLinux) writeFileSync('/proc/self/clear_refs', '5');
  return process.memoryUsage.rss();
}

/** Returns the most resident memory since the last reset. Systems other than Linux tell only the memory of now. */
export function peakMemory(): number {
  if (!isLinux) return process.memoryUsage.rss();
  const status = readFileSync('/proc/self/status', 'utf8');
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0);
}
