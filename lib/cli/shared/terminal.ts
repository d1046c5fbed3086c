import pico from 'picocolors';

/** A command line that cannot be carried out as it stands; the message says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What the process says when it ends. */
export const EXIT = {
  ok: 0,
  /** A check was made and failed, or something went wrong that no user can mend. */
  failed: 1,
  /** Bad usage or bad input. */
  usage: 2,
  /** Stopped by Ctrl+C: 128 and the number of the signal, as shells have it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

// SECTION: Where the command line writes: two streams that tests can replace.

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

/** Ctrl+C, for work that has something to say before it ends. */

export interface Interrupt {
  /** Whether the user has asked to stop. */
  readonly asked: boolean;
}

/** Runs `action`, which looks at `asked` now and then. A second Ctrl+C ends the process as it always does. */
export async function withInterrupt<T>(action: (interrupt: Interrupt) => Promise<T>): Promise<T> {
  const interrupt = { asked: false };
  const onSignal = () => {
    interrupt.asked = true;
  };
  process.once('SIGINT', onSignal);
  try {
    return await action(interrupt);
  } finally {
    process.removeListener('SIGINT', onSignal);
  }
}
