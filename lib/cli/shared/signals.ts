/** SIGINT, SIGTERM and the end of the process while files are being written: no temporary file stays behind. */
import { onWriting, removeTemporaryFiles } from '../../files/atomic.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Removes temporary files at a signal or at the end of the process. Listens only while such files exist. */
export const removeTemporaryFilesAtSignals = (): void =>
  onWriting({ begin: startListening, end: stopListening });

function startListening(): void {
  // First in line: a listener such as `signal-exit` ends the process only if it is the only listener left.
  for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  process.prependListener('exit', removeTemporaryFiles);
}

function stopListening(): void {
  for (const signal of SIGNALS) process.removeListener(signal, onSignal);
  process.removeListener('exit', removeTemporaryFiles);
}

function onSignal(signal: NodeJS.Signals): void {
  removeTemporaryFiles();
  stopListening();
  // With this listener gone the signal has its default effect, unless another listener decides.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
