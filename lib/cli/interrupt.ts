/** Ctrl+C, for work that has something to say before it ends. */

export interface Interrupt {
  /** Whether the user has asked to stop. */
  readonly asked: boolean;
}

/** Runs `action`, which looks at `asked` now and then. A second Ctrl+C ends the process as it always does. */
export async function withInterrupt<T>(action: (interrupt: Interrupt) => Promise<T>): Promise<T> {
  const interrupt = { asked: false };
  const onSignal = () => {
    interrupt.asked = true;
  };
  process.once('SIGINT', onSignal);
  try {
    return await action(interrupt);
  } finally {
    process.removeListener('SIGINT', onSignal);
  }
}
