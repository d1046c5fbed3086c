/**
 * SIGINT (Ctrl+C) and SIGTERM in commands that finish in order: `parity` prints the cases that ran before it exits.
 * In all other commands a signal ends the process at once, as it does by default; `lib/files` removes the temporary
 * file that is being written.
 */
import { EXIT, type ExitCode } from './errors.js';

const EXIT_CODES = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated } as const satisfies Partial<
  Record<NodeJS.Signals, ExitCode>
>;
type StopSignal = keyof typeof EXIT_CODES;
const SIGNALS = Object.keys(EXIT_CODES) as StopSignal[];

/** Whether a signal has asked the command to stop. */
interface StopRequest {
  /** The exit code that belongs to the signal; `undefined` before a signal arrives. */
  readonly exitCode: ExitCode | undefined;
}

/**
 * Runs `action`, which checks `exitCode` between two pieces of work. Only the first signal waits for the action: a
 * second one ends the process at once.
 */
export async function withStopRequest<T>(action: (stop: StopRequest) => Promise<T>): Promise<T> {
  const stop: { exitCode: ExitCode | undefined } = { exitCode: undefined };
  const stopListening = () => SIGNALS.forEach((signal) => process.removeListener(signal, onSignal));
  // Keeps listening after the first signal: the spinner listens too, and ends the process if no one else does.
  const onSignal = (signal: StopSignal) => {
    if (stop.exitCode === undefined) {
      stop.exitCode = EXIT_CODES[signal];
    } else {
      stopListening();
      process.kill(process.pid, signal);
    }
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await action(stop);
  } finally {
    stopListening();
  }
}
