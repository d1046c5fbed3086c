#!/usr/bin/env node
/** The executable: the process's own arguments and streams. */
import process from 'node:process';
import { reasonOf } from '../files/system-error.js';
import { runCli } from './run-cli.js';
import { EXIT } from './shared/terminal.js';

// A reader that has seen enough (`| head`) closes the pipe. The work goes on, for its files and its exit code.
// Any other error loses what was to be said, and there is no use in going on.
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

process.exitCode = await runCli(process.argv.slice(2), process);
