/** The streams that the command line writes to. Tests replace them. */
import pico from 'picocolors';
import type { ExitCode } from './errors.js';

export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface Io {
  /** For results. */
  readonly stdout: Output;
  /** For progress and errors. */
  readonly stderr: Output;
}

/** The context of a command: its streams, and the exit code that it sets. */
export interface Cli {
  readonly io: Io;
  /** The exit code of the process if the command does not throw. */
  exitCode: ExitCode;
}

/** Writes lines of text. */
export function print(output: Output, ...lines: string[]): void {
  for (const line of lines) output.write(`${line}\n`);
}

export type Colors = ReturnType<typeof pico.createColors>;

/** Returns colours for a terminal. For other streams, and with `NO_COLOR`, the functions return the text unchanged. */
export const colorsOf = (output: Output): Colors =>
  pico.createColors(output.isTTY === true && pico.isColorSupported);

/** Returns the columns of a terminal, or `undefined` if the stream is not a terminal or does not say. */
export const widthOf = (output: Output): number | undefined =>
  output.isTTY === true && output.columns ? output.columns : undefined;
