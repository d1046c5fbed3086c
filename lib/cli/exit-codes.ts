/** What the process says when it ends. */
export const EXIT = {
  ok: 0,
  /** A check was made and failed, or something went wrong that no user can mend. */
  failed: 1,
  /** Bad usage or bad input. */
  usage: 2,
  /** Stopped by Ctrl+C: 128 and the number of the signal, as shells have it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
