#!/usr/bin/env node
/** The executable: the process's own arguments and streams. */
import process from 'node:process';
import { runCli } from './run-cli.js';

// A reader that has seen enough (`| head`) closes the pipe. The work goes on, for its files and its exit code.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await runCli(process.argv.slice(2), process);
