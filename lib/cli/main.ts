#!/usr/bin/env node
/** The executable: runs the command line with the arguments and streams of the process. */
import process from 'node:process';
import { reasonOf } from '../files/system-error.js';
import { runCli } from './run-cli.js';
import { removeTemporaryFilesAtSignals } from './shared/signals.js';
import { EXIT } from './shared/terminal.js';

// A reader such as `head` closes the pipe early (EPIPE). The command goes on, for its files and its exit code.
// After any other error, such as a full disk, the results are lost, and the command ends.
for (const [name, stream] of [
  ['stdout', process.stdout],
  ['stderr', process.stderr],
] as const) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    if (name === 'stdout') process.stderr.write(`error: cannot write to stdout: ${reasonOf(error)}\n`);
    process.exit(EXIT.usage);
  });
}

removeTemporaryFilesAtSignals();
process.exitCode = await runCli(process.argv.slice(2), process);
