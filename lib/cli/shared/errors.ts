/** The exit codes of the command line, and the error for a wrong command line. */

/** A command line that cannot run as it stands. The message says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const EXIT = {
  ok: 0,
  /** A check failed, or the command line itself has a bug. */
  failed: 1,
  /** Bad usage or bad input. */
  usage: 2,
  /** Ctrl+C: 128 plus the number of SIGINT, as in shells. */
  interrupted: 130,
  /** 128 plus the number of SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
