/** Progress on stderr: a spinner on a terminal, elsewhere a plain line every few seconds, so that logs stay short. */
import ora from 'ora';
import type { Ora } from 'ora';
import { type Output, print, safeText } from './terminal.js';

/** Milliseconds of work before the first plain line. Shorter work prints nothing. */
const FIRST_LINE = 1000;
/** Milliseconds between two plain lines. */
const NEXT_LINE = 4000;

export class Progress {
  readonly #output: Output;
  #spinner: Ora | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lineDue = performance.now() + FIRST_LINE;

  constructor(output: Output) {
    this.#output = output;
    // A terminal of unknown width has 0 columns, and with 0 columns ora clears lines without end.
    if (output.isTTY && output.columns && process.env.TERM !== 'dumb') {
      // ora must not read stdin: in raw mode Ctrl+C waits until the event loop is free.
      this.#spinner = ora({ stream: output, isEnabled: true, discardStdin: false });
    }
  }

  /** Shows the next piece of work. Call it before the work, because the work may block the event loop. */
  step(task: string): void {
    const text = safeText(task);
    if (this.#spinner) {
      if (this.#spinner.isSpinning) this.#spinner.text = text;
      else this.#spinner.start(text);
      this.#spinner.render();
      return;
    }
    clearTimeout(this.#timer);
    const left = this.#lineDue - performance.now();
    // The timer prints the line during long asynchronous work, not only when the next step begins.
    if (left > 0) this.#timer = setTimeout(() => this.#printLine(text), left).unref();
    else this.#printLine(text);
  }

  /** Prints a line that stays, such as a warning. */
  say(text: string): void {
    this.#spinner?.stop();
    print(this.#output, text);
  }

  /** Removes the spinner. Call it before printing results, and when the work fails. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#spinner?.stop();
  }

  #printLine(text: string): void {
    this.#lineDue = performance.now() + NEXT_LINE;
    print(this.#output, `${text} …`);
  }
}

/** Runs `action` with a progress display, and removes the display when the action ends or fails. */
export async function withProgress<T>(
  output: Output,
  action: (progress: Progress) => Promise<T>,
): Promise<T> {
  const progress = new Progress(output);
  try {
    return await action(progress);
  } finally {
    progress.stop();
  }
}
