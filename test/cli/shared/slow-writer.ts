/**
 * A program for signals.test.ts: writes the file that its first argument names, and stops half-way. Its second
 * argument says what it does at SIGTERM: `go-on` finishes the write, `exit` exits with 3.
 */
import { removeTemporaryFilesAtSignals } from '../../../lib/cli/shared/signals.js';
import { writeFileAtomic } from '../../../lib/files/atomic.js';

const [target, atSignal] = process.argv.slice(2);
let goOn: () => void;
if (atSignal === 'go-on') process.on('SIGTERM', () => goOn());
if (atSignal === 'exit') process.on('SIGTERM', () => process.exit(3));

async function* content() {
  yield new Uint8Array(10);
  console.log('writing');
  const timer = setTimeout(() => undefined, 10_000);
  await new Promise<void>((resolve) => (goOn = resolve));
  clearTimeout(timer);
}

removeTemporaryFilesAtSignals();
await writeFileAtomic(target!, content()).catch((error: Error) => console.log(error.message));
