import ora from 'ora';
import type { Ora } from 'ora';
import { type Output, print } from './terminal.js';

/** Milliseconds without a sign of life before the first plain line, and between two of them. */
const FIRST_LINE = 1000;
const NEXT_LINE = 4000;

/** What is being done: a spinner on a terminal; elsewhere a plain line now and then, so that logs stay short. */
export class Progress {
  readonly #output: Output;
  #spinner: Ora | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lineDue = performance.now() + FIRST_LINE;

  constructor(output: Output) {
    this.#output = output;
    // A terminal of unknown width has 0 columns, with which ora would clear lines without end.
    if (output.isTTY && output.columns && process.env.TERM !== 'dumb') {
      // stdin stays as it is: read by ora, a Ctrl+C would have to wait until the runtime lets go of the thread.
      this.#spinner = ora({ stream: output, isEnabled: true, discardStdin: false });
    }
  }

  /** Says what comes next. Call it before the work: the work may block the thread that draws. */
  step(text: string): void {
    if (this.#spinner) {
      if (this.#spinner.isSpinning) this.#spinner.text = text;
      else this.#spinner.start(text);
      this.#spinner.render();
      return;
    }
    clearTimeout(this.#timer);
    const left = this.#lineDue - performance.now();
    // Work that leaves the thread free says its line when it is due, and not only when the next begins.
    if (left > 0) this.#timer = setTimeout(() => this.#line(text), left).unref();
    else this.#line(text);
  }

  /** A line that stays, such as a warning. */
  say(text: string): void {
    this.#spinner?.stop();
    print(this.#output, text);
  }

  #line(text: string): void {
    this.#lineDue = performance.now() + NEXT_LINE;
    print(this.#output, `${text} …`);
  }

  /** Takes the spinner away. Call it before anything is printed, and when work fails. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#spinner?.stop();
  }
}

/** Runs `action` with progress that ends with it, however it ends. */
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
