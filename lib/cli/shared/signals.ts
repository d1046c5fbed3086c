/**
 * SIGINT (Ctrl+C), SIGTERM, SIGHUP (the terminal is closed) and SIGQUIT (Ctrl+\) in commands. By default a signal ends the
 * process at once. `parity` finishes in order at the first three: it prints and writes the cases that ran before it exits.
 * While a command writes files, a signal first removes the temporary ones.
 */
import { removeTemporaryFiles } from '../../files/atomic.js';
import { onWriting } from '../../files/temporary.js';
import { EXIT, type ExitCode } from './terminal.js';

const EXIT_CODES = {
  SIGINT: EXIT.interrupted,
  SIGTERM: EXIT.terminated,
  SIGHUP: EXIT.hungUp,
} as const satisfies Partial<Record<NodeJS.Signals, ExitCode>>;
type StopSignal = keyof typeof EXIT_CODES;
const SIGNALS = Object.keys(EXIT_CODES) as StopSignal[];
/** Windows does not have SIGQUIT. */
const ENDING: readonly NodeJS.Signals[] = process.platform === 'win32' ? SIGNALS : [...SIGNALS, 'SIGQUIT'];

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

/** Removes temporary files at a signal and at the end of the process. Listens only while such files exist. */
export const removeTemporaryFilesAtSignals = (): void =>
  onWriting({ begin: watchWriting, end: stopWatching });

function watchWriting(): void {
  // First in line: a listener such as `signal-exit` ends the process only if it is the only listener left.
  for (const signal of ENDING) process.prependListener(signal, stopWriting);
  process.prependListener('exit', removeTemporaryFiles);
}

function stopWatching(): void {
  for (const signal of ENDING) process.removeListener(signal, stopWriting);
  process.removeListener('exit', removeTemporaryFiles);
}

function stopWriting(signal: NodeJS.Signals): void {
  removeTemporaryFiles();
  stopWatching();
  // With this listener gone the signal has its default effect, unless another listener decides.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
