import ora, { type Ora } from 'ora';
import { print, type Output } from './io.js';

/** Milliseconds without a sign of life before the first plain line, and between two of them. */
const FIRST_LINE = 1000;
const NEXT_LINE = 4000;

/** What is being done: a spinner on a terminal; elsewhere a plain line now and then, so that logs stay short. */
export class Progress {
  readonly #output: Output;
  #spinner: Ora | undefined;
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
    const now = performance.now();
    if (now < this.#lineDue) return;
    this.#lineDue = now + NEXT_LINE;
    print(this.#output, `${text} …`);
  }

  /** Takes the spinner away. Call it before anything is printed, and when work fails. */
  stop(): void {
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
