/** Where the command line writes: two streams that tests can replace. */
import pico from 'picocolors';
import type { ExitCode } from './exit-codes.js';

export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface Io {
  /** Results. */
  readonly stdout: Output;
  /** Progress and errors. */
  readonly stderr: Output;
}

/** What every command is given. */
export interface Cli {
  readonly io: Io;
  /** What the process is to end with if the command does not throw. */
  exitCode: ExitCode;
}

/** Writes lines of text. */
export function print(output: Output, ...lines: string[]): void {
  for (const line of lines) output.write(`${line}\n`);
}

/** Colours for a terminal, and none for anything else or where `NO_COLOR` asks for none. */
export const colorsOf = (output: Output) => pico.createColors(output.isTTY === true && pico.isColorSupported);

/** Characters of a terminal's line; `undefined` for anything else, and for a terminal that does not say. */
export const widthOf = (output: Output): number | undefined =>
  output.isTTY === true && output.columns ? output.columns : undefined;
