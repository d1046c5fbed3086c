/** What commands share with the terminal: the package's version, exit codes, the usage error, and the output streams. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import pico from 'picocolors';
import { printable, printableLines, printableMessage } from '../../printable.js';

interface PackageInfo {
  readonly version: string;
  readonly engines: { readonly node: string };
}

/** Reads package.json. The package resolves its own name, so this works from the sources and from `dist`. */
export function packageInfo(): PackageInfo {
  const path = createRequire(import.meta.url).resolve('onnx-groupnorm/package.json');
  return JSON.parse(readFileSync(path, 'utf8')) as PackageInfo;
}

/** A command line that cannot run as it stands. The message says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  /** @param message One line, or several. */
  constructor(message: string | readonly string[], options?: ErrorOptions) {
    super(printableMessage(message), options);
  }
}

export const EXIT = {
  ok: 0,
  /** A check failed, or the command line itself has a bug. */
  failed: 1,
  /** Bad usage or bad input. */
  usage: 2,
  /** The terminal was closed: 128 plus the number of SIGHUP, as in shells. */
  hungUp: 129,
  /** Ctrl+C: 128 plus the number of SIGINT. */
  interrupted: 130,
  /** 128 plus the number of SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A stream that the command line writes to. Tests replace it. */
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

/** Writes lines of text. Control characters become escapes such as `\u001b`, but for the colours of a terminal. */
export function print(output: Output, ...lines: string[]): void {
  for (const line of lines) output.write(`${safeLines(line, output)}\n`);
}

const safeLines = (text: string, output: Output): string =>
  output.isTTY === true ? mapText(text, printableLines) : printableLines(text);

/** Returns text that a table or a progress line can hold: like {@link print}, but with escapes for line feeds too. */
export const safeText = (text: string): string => mapText(text, printable);

/** The escape sequences of red, green and yellow, and of their end: others can hide what follows. */
const COLOURS = /(\u001b\[3[1239]m)/;

/** Maps the text between the escape sequences of {@link Colors}. */
const mapText = (text: string, map: (part: string) => string): string =>
  text
    .split(COLOURS)
    .map((part, index) => (index % 2 === 0 ? map(part) : part))
    .join('');

export type Colors = Pick<ReturnType<typeof pico.createColors>, 'red' | 'green' | 'yellow'>;

/** Returns colours for a terminal. For other streams, and with `NO_COLOR`, the functions return the text unchanged. */
export const colorsOf = (output: Output): Colors =>
  pico.createColors(output.isTTY === true && pico.isColorSupported);

/** Returns the columns of a terminal, or `undefined` if the stream is not a terminal or does not say. */
export const widthOf = (output: Output): number | undefined =>
  output.isTTY === true && output.columns ? output.columns : undefined;
